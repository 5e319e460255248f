//! What a stream and each of its halves can say of the connection.

/// Gives a type with a method `handle()` the accessors that a stream and its halves share.
macro_rules! accessors {
    ($name:ident) => {
        impl $name {
            /// This side's address and port on the first path. They stay when that path is gone.
            #[must_use]
            pub fn local_addr(&self) -> std::net::SocketAddr {
                self.handle().local()
            }

            /// The peer's address and port on the first path. They stay when that path is gone.
            #[must_use]
            pub fn peer_addr(&self) -> std::net::SocketAddr {
                self.handle().peer()
            }

            /// The connection's name on this host, as events have it.
            #[must_use]
            pub fn conn_id(&self) -> $crate::ConnId {
                self.handle().id()
            }

            /// A snapshot of the connection and all of its paths, taken at one moment.
            ///
            /// # Errors
            /// When the endpoint has stopped.
            pub fn info(&self) -> std::io::Result<$crate::ConnectionInfo> {
                self.handle().info()
            }
        }
    };
}

pub(crate) use accessors;
