//! The three delivery classes, most urgent first.

use std::ops::{Index, IndexMut};

/// How urgent an item is. Fixed when the item is accepted; each class has a lane and a cursor of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// CVSS 9.0 and above: sent at once.
    Critical,
    /// Everything else that is small.
    #[default]
    Normal,
    /// Large content that must never stand in the way of the others.
    Bulk,
}

impl Class {
    /// All of them, most urgent first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Normal, Self::Bulk];
}

/// One of each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerClass<T>([T; 3]);

impl<T> PerClass<T> {
    /// What `make` makes for each.
    pub fn new(make: impl FnMut(Class) -> T) -> Self {
        Self(Class::ALL.map(make))
    }

    /// These three, most urgent first.
    pub const fn of(values: [T; 3]) -> Self {
        Self(values)
    }

    /// The same for each.
    pub const fn all(value: T) -> Self
    where
        T: Copy,
    {
        Self([value; 3])
    }

    /// Each with its class, most urgent first.
    pub fn iter(&self) -> impl Iterator<Item = (Class, &T)> {
        Class::ALL.into_iter().zip(&self.0)
    }

    /// Each with its class, most urgent first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Class, &mut T)> {
        Class::ALL.into_iter().zip(&mut self.0)
    }

    /// All of them, most urgent first.
    pub fn each_mut(&mut self) -> [&mut T; 3] {
        self.0.each_mut()
    }

    /// All of them, most urgent first.
    pub fn into_array(self) -> [T; 3] {
        self.0
    }
}

impl<T> Index<Class> for PerClass<T> {
    type Output = T;

    fn index(&self, class: Class) -> &T {
        &self.0[class as usize]
    }
}

impl<T> IndexMut<Class> for PerClass<T> {
    fn index_mut(&mut self, class: Class) -> &mut T {
        &mut self.0[class as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_own() {
        let mut own = PerClass::new(|class| class);
        assert!(own.iter().all(|(class, own)| class == *own && own == &Class::ALL[class as usize]));
        own[Class::Bulk] = Class::Normal;
        assert_eq!(own.into_array(), [Class::Critical, Class::Normal, Class::Normal]);
    }
}
