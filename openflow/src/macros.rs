//! Macros for the three kinds of small value a message is made of: numbers
//! with reserved names, enumerations, and bit sets. All three carry values
//! that the specification doesn't name.

/// A number with a few reserved values that have names.
macro_rules! wire_id {
    (
        $(#[$doc:meta])*
        pub struct $name:ident($int:ty) {
            $( $(#[$vdoc:meta])* $konst:ident = $value:expr => $text:literal, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            $( $(#[$vdoc])* pub const $konst: Self = Self($value); )*

            /// The specification's name for this value, if it is a reserved one.
            #[must_use]
            pub fn reserved_name(self) -> Option<&'static str> {
                match self {
                    $( Self::$konst => Some($text), )*
                    _ => None,
                }
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }

        impl From<$name> for $int {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.reserved_name() {
                    Some(name) => f.pad(name),
                    None => std::fmt::Display::fmt(&self.0, f),
                }
            }
        }

        /// Reserved values as their name, all others as a number.
        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                match self.reserved_name() {
                    Some(name) => out.serialize_str(name),
                    None => self.0.serialize(out),
                }
            }
        }
    };
}

/// An enumeration on the wire; `Other` carries what isn't named.
macro_rules! wire_enum {
    (
        $(#[$doc:meta])*
        pub enum $name:ident: $int:ty {
            $( $(#[$vdoc:meta])* $variant:ident = $value:literal => $text:expr, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$vdoc])* $variant, )*
            /// A value that the specification doesn't name.
            Other($int),
        }

        impl $name {
            /// All values that the specification names, in its order.
            pub const NAMED: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The value's name; `None` for `Other`.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $( Self::$variant => Some($text), )*
                    Self::Other(_) => None,
                }
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                match value {
                    $( $value => Self::$variant, )*
                    other => Self::Other(other),
                }
            }
        }

        impl From<$name> for $int {
            fn from(value: $name) -> Self {
                match value {
                    $( $name::$variant => $value, )*
                    $name::Other(other) => other,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, "{}", <$int>::from(*self)),
                }
            }
        }

        /// Named values as their name, all others as a number.
        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                match self.name() {
                    Some(name) => out.serialize_str(name),
                    None => <$int>::from(*self).serialize(out),
                }
            }
        }
    };
}

/// A set of bits on the wire; unknown bits are kept.
macro_rules! wire_flags {
    (
        $(#[$doc:meta])*
        pub struct $name:ident($int:ty) {
            $( $(#[$vdoc:meta])* $konst:ident = $value:expr => $text:literal, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            $( $(#[$vdoc])* pub const $konst: Self = Self($value); )*
            /// No bit set.
            pub const EMPTY: Self = Self(0);
            const NAMED: &'static [(Self, &'static str)] = &[ $( (Self::$konst, $text), )* ];

            /// Whether all bits of `other` are set here.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether no bit is set.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// These bits and those of `other`.
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// These bits less those of `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// The names of the bits that are set, and the bits without a name.
            fn parts(self) -> (impl Iterator<Item = &'static str>, $int) {
                let named = Self::NAMED.iter().filter(move |(bit, _)| self.contains(*bit));
                let known = Self::NAMED.iter().fold(0, |all, (bit, _)| all | bit.0);
                (named.map(|(_, text)| *text), self.0 & !known)
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                self.union(other)
            }
        }

        impl std::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                *self = self.union(other);
            }
        }

        impl std::ops::BitAnd for $name {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }

        impl From<$int> for $name {
            fn from(bits: $int) -> Self {
                Self(bits)
            }
        }

        impl From<$name> for $int {
            fn from(flags: $name) -> Self {
                flags.0
            }
        }

        /// Names with blanks between, unnamed bits in hex, `0` for none.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                if self.is_empty() {
                    return f.write_str("0");
                }
                let (names, rest) = self.parts();
                let mut gap = "";
                for name in names {
                    write!(f, "{gap}{name}")?;
                    gap = " ";
                }
                if rest != 0 {
                    write!(f, "{gap}{rest:#x}")?;
                }
                Ok(())
            }
        }

        /// A list of names, with the unnamed bits last, as one hex string.
        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                let (names, rest) = self.parts();
                let mut list: Vec<std::borrow::Cow<'static, str>> = names.map(Into::into).collect();
                if rest != 0 {
                    list.push(format!("{rest:#x}").into());
                }
                list.serialize(out)
            }
        }
    };
}
