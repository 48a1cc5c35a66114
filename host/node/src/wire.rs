//! Frames on the admin socket.
