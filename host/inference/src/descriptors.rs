//! Hands the two regions of shared memory to the worker, over the socket.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors travel with at least one byte.
const MARK: u8 = b'm';

/// Sends two descriptors as the first thing on a socket.
pub(crate) fn send(socket: &UnixStream, descriptors: [BorrowedFd<'_>; 2]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("the descriptors do not fit into a message"));
    }
    let sent = sendmsg(socket, &[IoSlice::new(&[MARK])], &mut ancillary, SendFlags::empty())?;
    if sent == 1 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives what [`send`] sent.
pub(crate) fn receive(socket: &UnixStream) -> io::Result<[OwnedFd; 2]> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut mark = [0];
    let mut parts = [IoSliceMut::new(&mut mark)];
    recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    descriptors.try_into().map_err(|_| io::Error::other("the shared memory did not come"))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::memory::{Range, SharedMemory};

    #[test]
    fn descriptors_arrive_on_the_other_side() {
        let (here, there) = UnixStream::pair().unwrap();
        let memory = SharedMemory::create(4096).unwrap();
        memory.write(0, &[b"tensor"]).unwrap();
        send(&here, [memory.descriptor(), here.as_fd()]).unwrap();
        let [first, _] = receive(&there).unwrap();
        let other = SharedMemory::open(first, 4096).unwrap();
        assert_eq!(other.read(Range { offset: 0, length: 6 }).unwrap(), b"tensor");
    }

    #[test]
    fn a_socket_without_descriptors_is_refused() {
        use std::io::Write as _;

        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(b"m").unwrap();
        assert!(receive(&there).is_err());
        drop(here);
        assert!(receive(&there).is_err());
    }
}
