//! A failure that calls itself 200 is found as it passes, kept with the evidence, and replaced where that is wanted; a page
//! that only talks about failures passes.

mod any_input;
mod modes;
mod real_input;
mod spared;
