//! The rules of this repository that no compiler holds: who may name whom, how files look, what documents promise.

mod dependencies;
mod direction;
mod documents;
mod files;
mod migrations;
mod paths;
mod rename;
mod shape;
