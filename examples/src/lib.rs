//! Programs a stranger would write first; see the sibling files.
