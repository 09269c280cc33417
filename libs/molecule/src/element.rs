//! The elements.

/// A chemical element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element(u8);

#[rustfmt::skip]
const SYMBOLS: [&str; 118] = [
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar",
    "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr",
    "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe",
    "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu",
    "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn",
    "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr",
    "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
];

impl Element {
    /// The element of an atomic number, from 1.
    pub fn of_number(number: u32) -> Option<Self> {
        let number = u8::try_from(number).ok()?;
        (1..=SYMBOLS.len()).contains(&usize::from(number)).then_some(Self(number))
    }

    /// The element of a symbol as it is written in books.
    pub fn of_symbol(symbol: &str) -> Option<Self> {
        let index = SYMBOLS.iter().position(|known| *known == symbol)?;
        u8::try_from(index + 1).ok().map(Self)
    }

    pub fn number(self) -> u8 {
        self.0
    }

    pub fn symbol(self) -> &'static str {
        SYMBOLS[usize::from(self.0) - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_symbols_name_the_same_elements() {
        for (number, symbol) in
            [(1, "H"), (8, "O"), (26, "Fe"), (57, "La"), (86, "Rn"), (118, "Og")]
        {
            assert_eq!(Element::of_number(number), Element::of_symbol(symbol));
            assert_eq!(Element::of_number(number).unwrap().symbol(), symbol);
        }
        for number in [0, 119, 257, u32::MAX] {
            assert_eq!(Element::of_number(number), None);
        }
    }
}
