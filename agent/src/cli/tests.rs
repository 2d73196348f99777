//! The command line, as people and scripts write it.

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Command, String> {
    let args = std::iter::once("distributary-agent").chain(line.split_whitespace());
    Cli::try_parse_from(args).map(|cli| cli.command).map_err(|error| error.to_string())
}

#[test]
fn the_grammar_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_example_of_the_help_parses() {
    let mut command = Cli::command();
    let mut helps = vec![command.render_long_help().to_string()];
    for sub in command.get_subcommands_mut() {
        helps.push(sub.render_long_help().to_string());
        helps.extend(sub.get_subcommands_mut().map(|sub| sub.render_long_help().to_string()));
    }
    let examples: Vec<&str> = helps
        .iter()
        .flat_map(|help| help.lines())
        .filter_map(|line| line.strip_prefix("  distributary-agent "))
        .collect();
    assert!(examples.len() >= 12, "{examples:?}");
    for example in examples {
        parse(example).unwrap_or_else(|error| panic!("{example}: {error}"));
    }
}

#[test]
fn a_journal_has_one_place() {
    assert!(parse("list").unwrap_err().contains("--config"));
    // As with DISTRIBUTARY_AGENT_CONFIG in the environment: the nearer word counts.
    let Ok(Command::List { at, .. }) = parse("list --state x --config y") else { panic!("parses") };
    assert_eq!(at.directory().unwrap(), Path::new("x"));
    let Ok(Command::List { at, json: true, .. }) = parse("list --state x --json") else { panic!("parses") };
    assert_eq!(at.directory().unwrap(), Path::new("x"));
}

#[test]
fn mistakes_are_named() {
    assert!(parse("lits").unwrap_err().contains("list"));
    assert!(parse("publish --config x").unwrap_err().contains("SOURCE"));
}
