//! Reads the steps from the text of a `poly_ext.rs`.
//!
//! Only the one form that the circuits are generated in passes: anything else might mean something else.

use super::{CompileError, MODULUS};

/// One step. Arithmetic steps make the next *value*, the others the next mixing *state*; both are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A base field constant.
    Const(u32),
    /// An extension field constant.
    ConstExt([u32; 4]),
    /// A tap.
    Get(u32),
    /// A global: list, offset.
    GetGlobal(u32, u32),
    /// The sum of two values.
    Add(usize, usize),
    /// The difference of two values.
    Sub(usize, usize),
    /// The product of two values.
    Mul(usize, usize),
    /// The state without constraints.
    True,
    /// A state, and a value that has to be zero.
    AndEqz(usize, usize),
    /// A state, and another that has to hold wherever a value (the second number) is not zero.
    AndCond(usize, usize, usize),
}

/// A parsed list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The steps, each with its line.
    pub steps: Vec<(usize, Step)>,
    /// The state that is the result, with its line.
    pub result: (usize, usize),
}

/// What stands before the list.
const OPENING: &str = "PolyExtStepDef = PolyExtStepDef {";
/// How the list has to be used, for its steps to mean what they mean here.
const USE: &str = "DEF.step::<BabyBear>(mix, u, args)";

/// Parses `source`.
pub fn parse(source: &str) -> Result<Listing, CompileError> {
    for opening in [OPENING, USE] {
        let found = source.matches(opening).count();
        if found != 1 {
            return Err(CompileError::Definition { opening, found });
        }
    }
    let at = source.find(OPENING).map_or(0, |at| at + OPENING.len());
    let mut cursor = Cursor { line: 1 + source[..at].matches('\n').count(), rest: &source[at..] };

    for token in ["block", ":", "&", "["] {
        cursor.expect(token)?;
    }
    let mut steps = Vec::new();
    while !cursor.accept("]") {
        cursor.expect("PolyExtStep")?;
        cursor.expect("::")?;
        let line = cursor.line;
        let step = cursor.step()?;
        steps.push((line, step));
        if !cursor.accept(",") {
            cursor.expect("]")?;
            break;
        }
    }
    for token in [",", "ret", ":"] {
        cursor.expect(token)?;
    }
    let result = (cursor.line, cursor.number()? as usize);
    cursor.accept(",");
    cursor.expect("}")?;
    cursor.expect(";")?;
    Ok(Listing { steps, result })
}

/// The text that is left.
struct Cursor<'a> {
    line: usize,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Goes on to the next character that is neither white nor part of a `//` comment.
    fn skip(&mut self) {
        loop {
            let white = self.rest.len() - self.rest.trim_start().len();
            self.advance(white);
            if !self.rest.starts_with("//") {
                return;
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.advance(end);
        }
    }

    fn accept(&mut self, token: &str) -> bool {
        self.skip();
        let there = self.rest.starts_with(token);
        if there {
            self.advance(token.len());
        }
        there
    }

    fn expect(&mut self, token: &str) -> Result<(), CompileError> {
        if self.accept(token) { Ok(()) } else { Err(self.unexpected(format!("`{token}`"))) }
    }

    fn unexpected(&self, expected: String) -> CompileError {
        /// Enough to find the place by.
        const SHOWN_CHARS: usize = 40;
        let found = self.rest.lines().next().unwrap_or("").chars().take(SHOWN_CHARS).collect();
        CompileError::Unexpected { line: self.line, expected, found }
    }

    /// The run of characters from here on that `belongs` accepts.
    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        self.skip();
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        self.advance(end)
    }

    fn number(&mut self) -> Result<u32, CompileError> {
        self.skip();
        let error = self.unexpected("a number of 32 bits".to_owned());
        self.run(|c| c.is_ascii_digit()).parse().map_err(|_| error)
    }

    fn constant(&mut self) -> Result<u32, CompileError> {
        let line = self.line;
        let value = self.number()?;
        if value < MODULUS { Ok(value) } else { Err(CompileError::Constant { line, value }) }
    }

    /// `N` numbers in parentheses.
    fn arguments<const N: usize>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<u32, CompileError>,
    ) -> Result<[u32; N], CompileError> {
        let mut values = [0; N];
        for (at, value) in values.iter_mut().enumerate() {
            self.expect(if at == 0 { "(" } else { "," })?;
            *value = read(self)?;
        }
        self.expect(")")?;
        Ok(values)
    }

    fn indices<const N: usize>(&mut self) -> Result<[usize; N], CompileError> {
        Ok(self.arguments::<N>(Self::number)?.map(|index| index as usize))
    }

    fn step(&mut self) -> Result<Step, CompileError> {
        let line = self.line;
        Ok(match self.run(|c| c.is_ascii_alphanumeric()) {
            "Const" => {
                let [value] = self.arguments(Self::constant)?;
                Step::Const(value)
            }
            "ConstExt" => Step::ConstExt(self.arguments(Self::constant)?),
            "Get" => {
                let [tap] = self.arguments(Self::number)?;
                Step::Get(tap)
            }
            "GetGlobal" => {
                let [list, offset] = self.arguments(Self::number)?;
                Step::GetGlobal(list, offset)
            }
            "Add" => {
                let [left, right] = self.indices()?;
                Step::Add(left, right)
            }
            "Sub" => {
                let [left, right] = self.indices()?;
                Step::Sub(left, right)
            }
            "Mul" => {
                let [left, right] = self.indices()?;
                Step::Mul(left, right)
            }
            "True" => Step::True,
            "AndEqz" => {
                let [state, value] = self.indices()?;
                Step::AndEqz(state, value)
            }
            "AndCond" => {
                let [state, condition, inner] = self.indices()?;
                Step::AndCond(state, condition, inner)
            }
            name => return Err(CompileError::UnknownStep { line, name: name.to_owned() }),
        })
    }
}
