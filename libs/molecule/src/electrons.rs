//! Charge and multiplicity against the electrons that there are.

use crate::Molecule;

/// The electrons of a molecule, as charge and multiplicity leave them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Electrons {
    pub charge: i64,
    /// All of them, the cores' included.
    pub count: i64,
    /// The spin multiplicity: unpaired electrons and one.
    pub multiplicity: i64,
}

impl Electrons {
    pub fn unpaired(&self) -> i64 {
        self.multiplicity - 1
    }
}

/// A charge or a multiplicity that the molecule cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    #[error("{0}")]
    Charge(String),
    #[error("{0}")]
    Multiplicity(String),
}

impl Molecule {
    /// The electrons at `charge` in `multiplicity`; where that is not given, in the lowest that there is.
    ///
    /// # Errors
    /// There are no such electrons, or the comment says another charge or multiplicity.
    pub fn electrons(
        &self,
        charge: i64,
        multiplicity: Option<i64>,
    ) -> Result<Electrons, Impossible> {
        let (formula, protons) = (self.formula(), self.protons());
        if let Some(stated) = self.stated.charge.filter(|stated| *stated != charge) {
            return Err(Impossible::Charge(format!(
                "the charge is {charge}, and the molecule's comment says {stated}"
            )));
        }
        let count = protons.saturating_sub(charge);
        if count < 1 {
            return Err(Impossible::Charge(format!(
                "{formula} has {protons} electrons when neutral: none are left at charge {charge}"
            )));
        }
        // No atom binds more electrons than twice its protons; H- has just so many.
        if count > 2 * protons {
            return Err(Impossible::Charge(format!(
                "{formula} has {protons} electrons when neutral, and cannot bind {} more",
                count - protons
            )));
        }
        let lowest = 1 + count % 2;
        let stated = self.stated.multiplicity;
        let multiplicity = multiplicity.or(stated).unwrap_or(lowest);
        if let Some(stated) = stated.filter(|stated| *stated != multiplicity) {
            return Err(Impossible::Multiplicity(format!(
                "the multiplicity is {multiplicity}, and the molecule's comment says {stated}"
            )));
        }
        let electrons = format!("{formula} at charge {charge} has {count} electrons");
        let parity = if count % 2 == 0 { "odd (1, 3, …)" } else { "even (2, 4, …)" };
        if multiplicity < 1 || (multiplicity - lowest) % 2 != 0 {
            return Err(Impossible::Multiplicity(format!(
                "{electrons}: its multiplicity is {parity}, not {multiplicity}"
            )));
        }
        if multiplicity - 1 > count {
            return Err(Impossible::Multiplicity(format!(
                "{electrons}: they cannot make a multiplicity of {multiplicity}"
            )));
        }
        Ok(Electrons { charge, count, multiplicity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn electrons(xyz: &str, charge: i64, multiplicity: Option<i64>) -> Result<(i64, i64), String> {
        let electrons = Molecule::read(xyz).unwrap().electrons(charge, multiplicity);
        electrons.map(|e| (e.count, e.unpaired())).map_err(|error| error.to_string())
    }

    #[test]
    fn electrons_are_counted_and_impossible_ones_refused() {
        let (hydrogen, water) = ("1\n\nH 0 0 0\n", "3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n");
        assert_eq!(electrons(water, 0, None), Ok((10, 0)));
        assert_eq!(electrons(water, 1, None), Ok((9, 1)));
        assert_eq!(electrons(water, 0, Some(3)), Ok((10, 2)));
        assert_eq!(electrons(hydrogen, -1, Some(1)), Ok((2, 0)));
        for (xyz, charge, multiplicity, reason) in [
            (hydrogen, 100, None, "none are left"),
            (hydrogen, 1, None, "none are left"),
            (hydrogen, -2, None, "cannot bind 2 more"),
            (hydrogen, i64::MIN, None, "cannot bind"),
            (hydrogen, i64::MAX, None, "none are left"),
            (hydrogen, 0, Some(1), "its multiplicity is even (2, 4, …), not 1"),
            (hydrogen, 0, Some(4), "cannot make a multiplicity of 4"),
            (water, 0, Some(2), "H2O at charge 0 has 10 electrons: its multiplicity is odd"),
            (water, 0, Some(0), "not 0"),
            (water, 0, Some(-1), "not -1"),
            (water, 0, Some(i64::MIN), "its multiplicity"),
            (water, 0, Some(13), "cannot make"),
        ] {
            let error = electrons(xyz, charge, multiplicity).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let stated = "1\ncharge=1\nLi 0 0 0\n";
        assert_eq!(electrons(stated, 1, None), Ok((2, 0)));
        assert!(electrons(stated, 0, None).unwrap_err().contains("comment says 1"));
        let stated = "2\nmultiplicity=3\nO 0 0 0\nO 1.2 0 0\n";
        assert_eq!(electrons(stated, 0, None), Ok((16, 2)));
        assert!(electrons(stated, 0, Some(1)).unwrap_err().contains("comment says 3"));
    }
}
