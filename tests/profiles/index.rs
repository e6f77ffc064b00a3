//! Go's index of profiles, as Go's clients read it.
