//! What a run needs of the switches it is on.

use std::net::SocketAddr;

use super::dice::Dice;
use super::wish::Spot;
use crate::controller::Controller;
use crate::error::LabError;

/// Joined switches, and hosts at their ports.
pub trait Ground {
    /// The controller that they are to be under; not started twice.
    fn controller(&self) -> Result<Controller, LabError>;

    /// Where the switches look for it.
    fn listen(&self) -> SocketAddr;

    /// Switches connect to this address from now on.
    fn connect(&mut self, proxy: SocketAddr) -> Result<(), LabError>;

    /// How many switches there are.
    fn switches(&self) -> usize;

    /// How many links.
    fn links(&self) -> usize;

    /// The hosts' ports.
    fn spots(&self) -> Vec<Spot>;

    /// In a settled world: each member's flood reaches each other member of its network once, its unicast its
    /// destination, and nobody hears anything else.
    fn judge(&self, members: &[Vec<usize>]) -> Result<(), LabError>;

    /// While all is in flux: a frame from one of these, which stay members, loops nowhere, comes to none of them twice
    /// and to none of another network.
    fn glance(&self, members: &[Vec<usize>], dice: &mut Dice) -> Result<(), LabError>;
}
