//! Where a receiver stands in its sender's log, in Hello (fields 5 and 6).

use link::hello::{Hello, Resume as WireResume};
use node::ids::{Place, Position, Resume};
use schemas::class::{Class, PerClass};
use schemas::digest::Digest;

/// What a Hello says; `None` unless it says it of every class.
pub fn read(hello: &Hello) -> Option<Resume> {
    let incarnation = hello.incarnation?;
    if !Class::ALL.into_iter().all(|class| hello.resume_of(class).is_some()) {
        return None;
    }
    let place = |wire: &WireResume| Place {
        position: Position(wire.position),
        digest: Some(wire.digest).filter(|digest| *digest != Digest::default()),
    };
    let places = PerClass::new(|class| hello.resume_of(class).map(place).unwrap_or_default());
    Some(Resume { incarnation, places })
}

/// The Hello that says so, and otherwise what `own` says.
pub fn write(own: Hello, resume: Option<Resume>) -> Hello {
    let wire = |(class, place): (Class, &Place)| WireResume {
        class,
        position: place.position.0,
        digest: place.digest.unwrap_or_default(),
    };
    Hello {
        incarnation: resume.map(|resume| resume.incarnation),
        resume: resume.iter().flat_map(|resume| resume.places.iter().map(wire)).collect(),
        ..own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_says_what_is_held() {
        let mut resume = Resume::at(3, Position(9), Some(Digest([7; 32])));
        resume.places[Class::Bulk] = Place::default();
        let own = Hello { generation: Some(4), ..Hello::default() };
        let mut said = write(own.clone(), Some(resume));
        assert_eq!((read(&said), said.generation), (Some(resume), Some(4)));
        said.resume.pop();
        assert_eq!(read(&said), None, "of every class, or none");
        assert_eq!(write(own.clone(), None), own);
    }
}
