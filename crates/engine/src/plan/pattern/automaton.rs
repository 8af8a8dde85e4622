//! The automaton of a pattern: which variables may take the next row, in the order in which they are preferred.
//!
//! ```text
//!   a (b | c)* d        beginning ─▶ a1        a1 ─▶ b2, c3, d4     b2 ─▶ b2, c3, d4
//!                                              c3 ─▶ b2, c3, d4     d4 ─▶ the end
//! ```
//! Each place where the pattern names a variable is a state, in which one stands when a row was taken there (Glushkov 1961).
//! The order of what follows is that of backtracking: more before fewer for greedy quantifiers, the first branch of a
//! choice before the second. What stands behind the end in that order is never preferred to it and is left out, unless
//! the pattern ends in `$`.

use std::collections::HashSet;

use super::tree::{Pattern, Times, Tree};
use crate::plan::PlanError;

/// Places of variables, with repetitions written out: what can follow each is kept for each.
const STATES_MAX: usize = 500;

/// What can come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Following {
    /// States whose variable may take the next row, the most preferred first.
    pub states: Vec<usize>,
    /// The match may end here. All that is preferred to that stands in `states`; when it ends by the time that is over,
    /// everything does, since no row can end it.
    pub may_end: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub variable: usize,
    pub following: Following,
    /// The match may end here, and in whatever state can be reached from here.
    pub may_always_end: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Automaton {
    pub beginning: Following,
    pub states: Vec<State>,
}

impl Automaton {
    pub fn of(pattern: &Pattern) -> Result<Automaton, PlanError> {
        Automaton::of_tree(&pattern.tree, pattern.until_time_is_over)
    }

    fn of_tree(tree: &Tree, until_time_is_over: bool) -> Result<Automaton, PlanError> {
        let mut program = Program { instructions: Vec::new(), until_time_is_over };
        program.compile(tree)?;
        program.add(Instruction::End)?;
        let takes =
            program.instructions.iter().enumerate().filter_map(|(at, instruction)| match instruction {
                Instruction::Take(variable) => Some((at, *variable)),
                _ => None,
            });
        let takes: Vec<(usize, usize)> = takes.collect();
        let mut state_of = vec![None; program.instructions.len()];
        for (state, (at, _)) in takes.iter().enumerate() {
            state_of[*at] = Some(state);
        }
        let states = takes.iter().map(|(at, variable)| State {
            variable: *variable,
            following: program.following(at + 1, &state_of),
            may_always_end: false,
        });
        let mut automaton =
            Automaton { states: states.collect(), beginning: program.following(0, &state_of) };
        automaton.find_ends();
        Ok(automaton)
    }

    /// A state may always end unless one that may not can be reached from it.
    fn find_ends(&mut self) {
        let mut ends: Vec<bool> = self.states.iter().map(|state| state.following.may_end).collect();
        loop {
            let leads_on = |state: &State| state.following.states.iter().all(|next| ends[*next]);
            let next: Vec<bool> =
                ends.iter().zip(&self.states).map(|(ends, state)| *ends && leads_on(state)).collect();
            if next == ends {
                break;
            }
            ends = next;
        }
        for (state, ends) in self.states.iter_mut().zip(ends) {
            state.may_always_end = ends;
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Instruction {
    /// Takes a row by a variable and goes on behind.
    Take(usize),
    /// Goes on at the first, or else at the second.
    Either(usize, usize),
    Jump(usize),
    /// Goes round once more at the first, or leaves at the second.
    Round {
        inside: usize,
        behind: usize,
        is_greedy: bool,
    },
    /// Has gone round: back to where that begins.
    Again(usize),
    End,
}

/// The pattern as instructions (Thompson 1968), repetitions written out.
struct Program {
    instructions: Vec<Instruction>,
    until_time_is_over: bool,
}

impl Program {
    fn add(&mut self, instruction: Instruction) -> Result<usize, PlanError> {
        // Beside a state there are an alternative and a jump for each repetition and branch around it.
        if self.instructions.len() >= STATES_MAX * 8 {
            return Err(too_large());
        }
        self.instructions.push(instruction);
        Ok(self.instructions.len() - 1)
    }

    fn compile(&mut self, tree: &Tree) -> Result<(), PlanError> {
        match tree {
            Tree::Row(variable) => {
                let is_take = |instruction: &&Instruction| matches!(instruction, Instruction::Take(_));
                if self.instructions.iter().filter(is_take).count() >= STATES_MAX {
                    return Err(too_large());
                }
                self.add(Instruction::Take(*variable)).map(drop)
            }
            Tree::Sequence(trees) => trees.iter().try_for_each(|tree| self.compile(tree)),
            Tree::Choice(trees) => self.choice(trees),
            Tree::Repeat { tree, times } => self.repeat(tree, *times),
        }
    }

    fn choice(&mut self, trees: &[Tree]) -> Result<(), PlanError> {
        let mut jumps = Vec::new();
        for (number, tree) in trees.iter().enumerate() {
            if number + 1 == trees.len() {
                self.compile(tree)?;
                break;
            }
            let either = self.add(Instruction::Either(0, 0))?;
            self.compile(tree)?;
            jumps.push(self.add(Instruction::Jump(0))?);
            self.instructions[either] = Instruction::Either(either + 1, self.instructions.len());
        }
        let end = self.instructions.len();
        for jump in jumps {
            self.instructions[jump] = Instruction::Jump(end);
        }
        Ok(())
    }

    /// `x{2,}` is `x x x*`, `x{2,4}` is `x x (x (x)?)?`.
    fn repeat(&mut self, tree: &Tree, times: Times) -> Result<(), PlanError> {
        for _ in 0..times.min {
            self.compile(tree)?;
        }
        let is_greedy = times.is_greedy;
        let Some(max) = times.max else {
            let round = self.add(Instruction::Round { inside: 0, behind: 0, is_greedy })?;
            self.compile(tree)?;
            let behind = self.add(Instruction::Again(round))? + 1;
            self.instructions[round] = Instruction::Round { inside: round + 1, behind, is_greedy };
            return Ok(());
        };
        let mut optional = Vec::new();
        for _ in times.min..max {
            optional.push(self.add(Instruction::Either(0, 0))?);
            self.compile(tree)?;
        }
        let behind = self.instructions.len();
        for either in optional {
            self.instructions[either] = match is_greedy {
                true => Instruction::Either(either + 1, behind),
                false => Instruction::Either(behind, either + 1),
            };
        }
        Ok(())
    }

    /// What can be reached from an instruction without a row. A round that was begun here and comes to its end has taken no
    /// row, and leads nowhere. Whoever comes to an instruction a second time, in the same rounds, would be led to the same,
    /// and that is preferred less.
    fn following(&self, from: usize, state_of: &[Option<usize>]) -> Following {
        let mut following = Following { states: Vec::new(), may_end: false };
        let mut met: HashSet<(usize, Vec<usize>)> = HashSet::new();
        let mut open: Vec<(usize, Vec<usize>)> = vec![(from, Vec::new())];
        while let Some((at, rounds)) = open.pop() {
            let Some(instruction) = self.instructions.get(at) else { continue };
            if !met.insert((at, rounds.clone())) {
                continue;
            }
            match *instruction {
                Instruction::Take(_) => {
                    let state = state_of[at].filter(|state| !following.states.contains(state));
                    following.states.extend(state);
                }
                Instruction::Jump(to) => open.push((to, rounds)),
                Instruction::Either(first, second) => {
                    open.extend([(second, rounds.clone()), (first, rounds)])
                }
                Instruction::Round { inside, behind, is_greedy } => {
                    let begun = rounds.iter().copied().chain([at]).collect();
                    let mut both = [(behind, rounds), (inside, begun)];
                    if !is_greedy {
                        both.reverse();
                    }
                    open.extend(both);
                }
                Instruction::Again(round) if rounds.contains(&round) => {}
                Instruction::Again(round) => open.push((round, rounds)),
                Instruction::End => {
                    following.may_end = true;
                    if !self.until_time_is_over {
                        break;
                    }
                }
            }
        }
        following
    }
}

fn too_large() -> PlanError {
    PlanError::new(format!("PATTERN names more than {STATES_MAX} rows when repetitions are written out"))
        .with_hint(
            "`{n,m}` writes its variable out m times; `{n,}` and a condition on COUNT write it once more",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEDY: Times = Times { min: 0, max: None, is_greedy: true };

    fn repeat(tree: Tree, times: Times) -> Tree {
        Tree::Repeat { tree: Box::new(tree), times }
    }

    fn check(tree: &Tree, beginning: (&[usize], bool), states: &[(&[usize], bool)]) {
        let automaton = Automaton::of_tree(tree, false).unwrap();
        let shown = |following: &Following| (following.states.clone(), following.may_end);
        assert_eq!(shown(&automaton.beginning), (beginning.0.to_vec(), beginning.1));
        let found: Vec<_> = automaton.states.iter().map(|state| shown(&state.following)).collect();
        let expected: Vec<_> = states.iter().map(|(next, end)| (next.to_vec(), *end)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_follows_stands_in_the_order_of_preference() {
        let choice = Tree::Choice(vec![Tree::Row(1), Tree::Row(2)]);
        // a (b | c)* d
        let tree = Tree::Sequence(vec![Tree::Row(0), repeat(choice.clone(), GREEDY), Tree::Row(3)]);
        let behind: (&[usize], bool) = (&[1, 2, 3], false);
        check(&tree, (&[0], false), &[behind, behind, behind, (&[], true)]);
        // a (b | c)*?: the end is preferred, so that nothing else follows.
        let reluctant = Times { is_greedy: false, ..GREEDY };
        let tree = Tree::Sequence(vec![Tree::Row(0), repeat(choice, reluctant)]);
        check(&tree, (&[0], false), &[(&[], true), (&[], true), (&[], true)]);
        // a b*? $: no row ends it, so that what follows the end counts.
        let tree = Tree::Sequence(vec![Tree::Row(0), repeat(Tree::Row(1), reluctant)]);
        let automaton = Automaton::of_tree(&tree, true).unwrap();
        assert_eq!(automaton.states[0].following, Following { states: vec![1], may_end: true });
        // a{1,3}
        let tree = repeat(Tree::Row(0), Times { min: 1, max: Some(3), is_greedy: true });
        check(&tree, (&[0], false), &[(&[1], true), (&[2], true), (&[], true)]);
        // (a*)*: who goes round without a row leads nowhere.
        let tree = repeat(repeat(Tree::Row(0), GREEDY), GREEDY);
        check(&tree, (&[0], true), &[(&[0], true)]);
        // (a*?)*: leaving the inner one leads into the next round of the outer one, which is preferred to the end.
        let tree = repeat(repeat(Tree::Row(0), reluctant), GREEDY);
        check(&tree, (&[0], true), &[(&[0], true)]);
    }

    #[test]
    fn states_that_can_always_end_are_known() {
        // a (b c)*
        let pair = Tree::Sequence(vec![Tree::Row(1), Tree::Row(2)]);
        let automaton =
            Automaton::of_tree(&Tree::Sequence(vec![Tree::Row(0), repeat(pair, GREEDY)]), false).unwrap();
        assert!(automaton.states.iter().all(|state| !state.may_always_end));
        // a b* c*
        let tree =
            Tree::Sequence(vec![Tree::Row(0), repeat(Tree::Row(1), GREEDY), repeat(Tree::Row(2), GREEDY)]);
        assert!(Automaton::of_tree(&tree, false).unwrap().states.iter().all(|state| state.may_always_end));
    }

    #[test]
    fn a_pattern_that_would_be_too_large_is_refused() {
        let times = |count| Times { min: count, max: Some(count), is_greedy: true };
        assert!(Automaton::of_tree(&repeat(Tree::Row(0), times(500)), false).is_ok());
        assert!(Automaton::of_tree(&repeat(Tree::Row(0), times(501)), false).is_err());
    }
}
