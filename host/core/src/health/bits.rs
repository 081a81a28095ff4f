//! One shape for the room's sets of findings: a number with a name and a text
//! per bit, so that a report stays small and can still speak.

/// Declares a set: its bits in order, each with the text that people read.
macro_rules! bitset {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $bit:ident = $place:literal, $text:literal;)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $name(u16);

        impl $name {
            $($(#[$inner])* pub const $bit: Self = Self(1 << $place);)+

            /// The empty set.
            pub const NONE: Self = Self(0);

            const TEXTS: &[(Self, &'static str)] = &[$((Self::$bit, $text)),+];

            /// As a number, for the process image.
            #[must_use]
            pub const fn bits(self) -> u16 {
                self.0
            }

            /// True when nothing is in it.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// How many are in it.
            #[must_use]
            pub const fn len(self) -> u32 {
                self.0.count_ones()
            }

            /// True when all of `other` is in it.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// With `other` added when `holds`.
            #[must_use]
            pub const fn with(self, other: Self, holds: bool) -> Self {
                if holds { Self(self.0 | other.0) } else { self }
            }

            /// What is in it, for people.
            pub fn texts(self) -> impl Iterator<Item = &'static str> {
                Self::TEXTS
                    .iter()
                    .filter(move |(bit, _)| self.contains(*bit))
                    .map(|(_, text)| *text)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                for (i, text) in self.texts().enumerate() {
                    f.write_str(if i > 0 { ", " } else { "" })?;
                    f.write_str(text)?;
                }
                Ok(())
            }
        }
    };
}

pub(super) use bitset;

#[cfg(test)]
mod tests {
    bitset! {
        /// Two bits.
        Pair {
            /// First.
            ONE = 0, "one";
            /// Second.
            TWO = 1, "two";
        }
    }

    #[test]
    fn a_set_names_what_is_in_it() {
        let both = Pair::ONE.with(Pair::TWO, true);
        assert_eq!(both.to_string(), "one, two");
        assert_eq!((both.bits(), both.len()), (3, 2));
        assert!(both.contains(Pair::TWO) && !Pair::ONE.contains(both));
        assert!(Pair::default() == Pair::NONE && Pair::NONE.is_empty() && !Pair::ONE.is_empty());
        assert_eq!(Pair::ONE.with(Pair::TWO, false), Pair::ONE);
    }
}
