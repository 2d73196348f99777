//! What the targets do with one input: apart from the engine, so that the tests of the tree run it over the seeds.

pub mod c14n;
pub mod decode;
pub mod forms;
pub mod verify;
