//! Atoms on top of each other.

use crate::Atom;

/// Nuclei of a molecule are never nearer, in ångström: the shortest bond, of H2, is 0.74. What is nearer
/// is an atom twice, or in another unit (H2 in nanometres is 0.074).
const DISTANCE_MIN: f64 = 0.2;

/// Two atoms, by their place in the list, that are too near, and their distance in ångström.
pub(crate) fn too_near(atoms: &[Atom]) -> Option<(usize, usize, f64)> {
    let place = |index: usize| -> [f64; 3] {
        std::array::from_fn(|axis| atoms[index].position[axis].value())
    };
    let mut order: Vec<_> = (0..atoms.len()).collect();
    order.sort_by(|a, b| place(*a)[0].total_cmp(&place(*b)[0]));
    for (rank, first) in order.iter().enumerate() {
        let [x, y, z] = place(*first);
        // Sorted by x: nobody further on is near.
        let near =
            order[rank + 1..].iter().take_while(|second| place(**second)[0] - x < DISTANCE_MIN);
        for second in near {
            let [x2, y2, z2] = place(*second);
            let distance = ((x2 - x).powi(2) + (y2 - y).powi(2) + (z2 - z).powi(2)).sqrt();
            if distance < DISTANCE_MIN {
                return Some((*first.min(second), *first.max(second), distance));
            }
        }
    }
    None
}
