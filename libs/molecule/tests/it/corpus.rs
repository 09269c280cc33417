//! Odd molecule files, each with what is to become of it: the molecule that is meant, or a refusal that
//! names what is wrong. The executor's tests run them through xtb as well.

/// The plain forms that the accepted ones mean.
pub const WATER: &str = "3\n\nO 0.0 0.0 0.117\nH 0.0 0.757 -0.471\nH 0.0 -0.757 -0.471\n";
pub const HCL: &str = "2\n\nH 0.0 0.0 0.0\nCl 0.0 0.0 1.275\n";
pub const HCL_DOWN: &str = "2\n\nH 0.0 0.0 0.0\nCl 0.0 0.0 -1.275\n";
pub const COBALT_HYDRIDE: &str = "2\n\nCo 0.0 0.0 0.0\nH 0.0 0.0 1.52\n";
pub const HELIUM: &str = "1\n\nHe 0.0 0.0 0.0\n";
pub const HYDROGEN: &str = "2\n\nH 0.0 0.0 0.0\nH 0.0 0.0 0.75\n";

/// What an odd file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The molecule of this plain form.
    Means(&'static str),
    /// Nothing: the line and column, and words of the reason.
    Refused(usize, usize, &'static str),
}

use Expected::{Means, Refused};

/// Name, text, and what it is.
pub const CORPUS: &[(&str, &str, Expected)] = &[
    // Ways to write lines.
    ("plain", WATER, Means(WATER)),
    (
        "crlf",
        "3\r\nwater\r\nO 0 0 0.117\r\nH 0 0.757 -0.471\r\nH 0 -0.757 -0.471\r\n",
        Means(WATER),
    ),
    (
        "old mac line ends",
        "3\rwater\rO 0 0 0.117\rH 0 0.757 -0.471\rH 0 -0.757 -0.471\r",
        Means(WATER),
    ),
    ("byte order mark", "\u{feff}2\n\nH 0 0 0\nCl 0 0 1.275\n", Means(HCL)),
    ("no line end at the end", "2\n\nH 0 0 0\nCl 0 0 1.275", Means(HCL)),
    ("blank lines at the end", "2\n\nH 0 0 0\nCl 0 0 1.275\n\n  \n\t\n", Means(HCL)),
    ("blank lines at the beginning", "\n \n2\n\nH 0 0 0\nCl 0 0 1.275\n", Means(HCL)),
    ("a blank line between atoms", "2\n\nH 0 0 0\n\nCl 0 0 1.275\n", Means(HCL)),
    ("tabs", "\t2\n\nH\t0\t0\t0\nCl\t0\t0\t1.275\n", Means(HCL)),
    ("blanks that break no line", "2\n\nH\u{a0}0\u{a0}0\u{a0}0\nCl 0 0 1.275\n", Means(HCL)),
    ("a comment like an atom", "2\nO 0 0 0\nH 0 0 0\nCl 0 0 1.275\n", Means(HCL)),
    ("a comment with control characters", "2\na\tb\nH 0 0 0\nCl 0 0 1.275\n", Means(HCL)),
    ("remarks after atoms", "2\n\nH 0 0 0 # first\nCl 0 0 1.275 ! second 1 2 3\n", Means(HCL)),
    ("a padded count", "002\n\nH 0 0 0\nCl 0 0 1.275\n", Means(HCL)),
    // Ways to write elements.
    ("small letters", "2\n\nh 0 0 0\ncl 0 0 1.275\n", Means(HCL)),
    ("capitals", "2\n\nH 0 0 0\nCL 0 0 1.275\n", Means(HCL)),
    ("atomic numbers", "2\n\n1 0.0 0.0 0.0\n17 0.0 0.0 1.275\n", Means(HCL)),
    ("running numbers", "2\n\nH1 0 0 0\nCl2 0 0 1.275\n", Means(HCL)),
    ("cobalt in small letters", "2\n\nco 0 0 0\nh 0 0 1.52\n", Means(COBALT_HYDRIDE)),
    // Ways to write numbers.
    ("fortran exponents", "2\n\nH 0.0D0 0.0d+00 0.0E-5\nCl 0.0D0 0.0D0 0.1275D+01\n", Means(HCL)),
    ("mathematica exponents", "2\n\nH 0 0 0\nCl 0.0*^-6 0 1275.*^-3\n", Means(HCL)),
    ("points without digits", "2\n\nH .0 0. +0\nCl 0 -0. +1.275\n", Means(HCL)),
    ("the minus sign of papers", "2\n\nH 0 0 0\nCl 0 0 \u{2212}1.275\n", Means(HCL_DOWN)),
    ("twenty digits", "2\n\nH 0 0 0\nCl 0 0 1.27500000000000000005\n", Means(HCL)),
    // More columns, which say what they are or cannot be mistaken.
    ("charges in a fifth column", "2\n\nH 0.0 0.0 0.0 0.18\nCl 0.0 0.0 1.275 -0.18\n", Means(HCL)),
    ("forces", "2\n\nH 0.0 0.0 0.0 0.0 0.0 0.1\nCl 0.0 0.0 1.275 0 0 -0.1\n", Means(HCL)),
    (
        "extended, no cell",
        "2\nProperties=species:S:1:pos:R:3:forces:R:3 pbc=\"F F F\"\n\
         H 0 0 0 0.0 0 0.1\nCl 0 0 1.275 0.0 0 -0.1\n",
        Means(HCL),
    ),
    (
        "extended, columns the other way round",
        "2\nProperties=pos:R:3:species:S:1\n0 0 0 H\n0 0 1.275 Cl\n",
        Means(HCL),
    ),
    (
        "extended, numbers and an index first",
        "2\nProperties=id:I:1:Z:I:1:pos:R:3\n1 1 0 0 0\n2 17 0 0 1.275\n",
        Means(HCL),
    ),
    ("one atom", "1\n\nHe 0 0 0", Means(HELIUM)),
    ("far from the origin", "2\n\nH 1000 0 0\nH 1000 0 0.75\n", Means(HYDROGEN)),
    // Numbers that some programs misread.
    ("decimal commas", "2\n\nH 0,0 0,0 0,0\nCl 0,0 0,0 1,275\n", Refused(3, 3, "decimal comma")),
    ("one decimal comma", "2\n\nH 0 0 0\nCl 0 0 1,275\n", Refused(4, 8, "write 1.275")),
    (
        "commas between columns",
        "2\n\nH, 0.0, 0.0, 0.0\nCl, 0, 0, 1\n",
        Refused(3, 1, "separated by blanks"),
    ),
    (
        "commas after numbers",
        "2\n\nH 0.0, 0.0, 0.0\nCl 0 0 1\n",
        Refused(3, 3, "separated by blanks"),
    ),
    ("semicolons", "2\n\nH;0;0;0\nCl;0;0;1\n", Refused(3, 1, "separated by blanks")),
    ("a repeat factor", "2\n\nH 0 0 0\nCl 0 0 1*1.275\n", Refused(4, 8, "asterisk")),
    ("repeated zeros", "2\n\nH 3*0.0\nCl 0 0 1.275\n", Refused(3, 3, "asterisk")),
    ("a slash", "2\n\nH 0 0 0\nCl 0 /\n", Refused(4, 6, "slash")),
    ("not a number", "2\n\nH 0 0 0\nCl 0 0 NaN\n", Refused(4, 8, "no place")),
    ("infinity", "2\n\nH 0 0 0\nCl 0 0 Infinity\n", Refused(4, 8, "no place")),
    ("stars", "2\n\nH 0 0 0\nCl 0 0 ********\n", Refused(4, 8, "did not fit")),
    ("an uncertainty", "2\n\nH 0 0 0\nCl 0 0 1.275(3)\n", Refused(4, 8, "uncertainty")),
    (
        "columns that ran together",
        "1\n\nH -0.00001234-12.34567890 1.0 2.0\n",
        Refused(3, 3, "ran together"),
    ),
    (
        "an exponent without letter",
        "2\n\nH 0 0 0\nCl 0 0 1.275+0\n",
        Refused(4, 8, "without its letter"),
    ),
    ("an exponent apart", "2\n\nH 0 0 0\nCl 0 0 1.275 D+00\n", Refused(4, 14, "no number")),
    ("an unknown coordinate", "2\n\nH 0 0 0\nCl 0 0 ?\n", Refused(4, 8, "no number")),
    ("full-width digits", "2\n\nH 0 0 0\nCl 0 0 \u{ff11}\n", Refused(4, 8, "no number")),
    ("a number beyond doubles", "2\n\nH 0 0 0\nCl 0 0 1e400\n", Refused(4, 8, "further than")),
    ("a coordinate of a kilometre", "2\n\nH 0 0 0\nCl 0 0 1e13\n", Refused(4, 8, "further than")),
    // Labels that are no one element.
    ("two elements in one label", "2\n\nCO 0 0 0\nH 0 0 1.52\n", Refused(3, 1, "Co or C and O")),
    ("an atom's name in a protein", "2\n\nCA 0 0 0\nN 0 0 1.46\n", Refused(3, 1, "protein")),
    ("a group", "1\n\nCH3 0 0 0\n", Refused(3, 1, "several elements")),
    ("deuterium", "2\n\nH 0 0 0\nD 0 0 0.75\n", Refused(4, 1, "deuterium")),
    ("an isotope", "1\n\n13C 0 0 0\n", Refused(3, 1, "isotope")),
    ("a dummy atom", "2\n\nX 0 0 0\nHe 0 0 1\n", Refused(3, 1, "dummy")),
    ("atom number nought", "1\n\n0 0.0 0.0 0.0\n", Refused(3, 1, "dummy")),
    ("a ghost atom", "2\n\nHe 0 0 0\nBq 0 0 1\n", Refused(4, 1, "ghost")),
    ("an ion", "1\n\nFe2+ 0 0 0\n", Refused(3, 1, "charge")),
    ("a suffix", "1\n\nC_R 0 0 0\n", Refused(3, 1, "suffix")),
    ("no element", "1\n\nXy 0 0 0\n", Refused(3, 1, "no element")),
    ("a full name", "1\n\nHelium 0 0 0\n", Refused(3, 1, "no symbol")),
    // Columns that are not the coordinates.
    ("an index first", "2\n\n1 H 0 0 0\n2 Cl 0 0 1.275\n", Refused(3, 3, "second column")),
    ("an element last", "2\n\n0.0 0.0 0.0 H\n0 0 1.275 Cl\n", Refused(3, 1, "no atomic number")),
    ("nuclear charges", "2\n\nH 1.0 0.0 0.0 0.0\nCl 17.0 0.0 0.0 1.275\n", Refused(3, 1, "GAMESS")),
    ("flags before x", "2\n\nH 0 0.0 0.0 0.0\nCl -1 0.0 0.0 1.275\n", Refused(3, 1, "flag")),
    ("flags between", "2\n\nH 0.0 1 0.0 1 0.0 1\nCl 0.0 1 0.0 1 1.275 1\n", Refused(3, 1, "MOPAC")),
    (
        "a table of centers",
        "2\n\n1 1 0 0.0 0.0 0.0\n2 17 0 0.0 0.0 1.275\n",
        Refused(3, 1, "Gaussian"),
    ),
    ("a z-matrix", "2\n\nH\nCl 1 1.275\n", Refused(3, 2, "no x, y and z")),
    ("two coordinates", "2\n\nH 0 0\nCl 0 1.275\n", Refused(3, 6, "Z-matrix")),
    (
        "properties without positions",
        "1\nProperties=species:S:1\nH\n",
        Refused(2, 1, "Properties="),
    ),
    (
        "fewer columns than the properties",
        "1\nProperties=species:S:1:pos:R:3:q:R:1\nHe 0 0 0\n",
        Refused(3, 1, "say 5 columns"),
    ),
    // Counts, and what stands around the atoms.
    ("empty", "", Refused(1, 1, "no molecule")),
    ("blank", " \n\n\t\n", Refused(1, 1, "no molecule")),
    ("nought atoms", "0\n\n", Refused(1, 1, "one atom at least")),
    ("minus one atom", "-1\n\n", Refused(1, 1, "negative")),
    ("a count alone", "3\n", Refused(1, 1, "3 atoms, and 0 follow")),
    ("a count without a line end", "3", Refused(1, 2, "no 3 atoms follow")),
    ("more atoms than said", "1\n\nH 0 0 0\nCl 0 0 1.275\n", Refused(4, 1, "says 1 atoms, and 2")),
    ("fewer atoms than said", "3\n\nH 0 0 0\nCl 0 0 1.275\n", Refused(1, 1, "says 3 atoms, and 2")),
    ("no comment", "2\nH 0 0 0\nCl 0 0 1.275\n", Refused(2, 1, "must be a comment")),
    ("no count", "H 0 0 0\nCl 0 0 1.275\n", Refused(1, 1, "here the atoms begin")),
    ("a fractional count", "2.0\n\nH 0 0 0\nCl 0 0 1.275\n", Refused(1, 1, "number of atoms")),
    ("a unit beside the count", "2 bohr\n\nH 0 0 0\nCl 0 0 2.4\n", Refused(1, 3, "stands alone")),
    ("a count that is too large", "99999999999999999999\n\nH 0 0 0\n", Refused(1, 1, "at most")),
    ("two frames", "1\n\nHe 0 0 0\n1\n\nHe 0 0 1\n", Refused(4, 1, "several frames")),
    (
        "qm9",
        "2\ngdb 1\t3.4\t0.1\nH 0.0 0.0 0.0 0.2\nCl 0.0 0.0 1.275 -0.2\n2991.0\nCl\tCl\n\
         InChI=1S/ClH/h1H\tInChI=1S/ClH/h1H\n",
        Refused(5, 1, "QM9"),
    ),
    ("a vector after the atoms", "1\n\nHe 0 0 0\nTv 5.0 0.0 0.0\n", Refused(4, 1, "periodic")),
    ("instructions", "1\n\nHe 0 0 0\n$chrg 1\n", Refused(4, 1, "instruction")),
    ("text after the atoms", "1\n\nHe 0 0 0\nend\n", Refused(4, 1, "nothing but blank lines")),
    ("the same atom twice", "2\n\nH 0 0 0\nH 0 0 0\n", Refused(4, 1, "0.000 ångström apart")),
    ("nanometres", "2\n\nH 0 0 0\nH 0 0 0.074\n", Refused(4, 1, "0.074 ångström apart")),
    // Comments that change everything.
    (
        "a periodic cell",
        "1\nLattice=\"5 0 0 0 5 0 0 0 5\" pbc=\"T T T\"\nHe 0 0 0\n",
        Refused(2, 1, "periodic cell"),
    ),
    (
        "a cell without pbc",
        "1\na Lattice=\"5 0 0 0 5 0 0 0 5\"\nHe 0 0 0\n",
        Refused(2, 3, "periodic"),
    ),
    ("periodic in one direction", "1\npbc=\"F F T\"\nHe 0 0 0\n", Refused(2, 1, "periodic cell")),
    ("bohr", "2\nin bohr\nH 0 0 0\nCl 0 0 2.4\n", Refused(2, 4, "ångström")),
    // Other formats, and characters that nobody sees.
    ("turbomole", "$coord\n0 0 0 h\n$end\n", Refused(1, 1, "Turbomole")),
    ("pdb", "ATOM      1  N   ALA A   1      11.104   6.134  -6.504\n", Refused(1, 1, "PDB")),
    (
        "a molfile",
        "\n  x\n\n  1  0  0  0  0  0            999 V2000\n    0.0 0.0 0.0 He\n",
        Refused(2, 3, "molfile"),
    ),
    ("smiles", "CCO\n", Refused(1, 1, "number of atoms")),
    ("an invisible blank", "1\n\nHe\u{200b} 0 0 0\n", Refused(3, 3, "U+200B")),
    ("a nul", "1\n\nHe 0 0 0\0\n", Refused(3, 9, "U+0000")),
];
