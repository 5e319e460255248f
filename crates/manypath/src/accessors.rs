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

            /// The shard of the endpoint that has the connection, counted from 0: where the drivers are
            /// tasks, the runtime with that number serves it best
            /// ([`crate::EndpointBuilder::build_tasks`]).
            #[must_use]
            pub fn shard(&self) -> usize {
                self.handle().shard()
            }

            /// A snapshot of the connection and all of its paths, taken at one moment.
            ///
            /// # Errors
            /// When the endpoint has stopped.
            pub fn info(&self) -> std::io::Result<$crate::ConnectionInfo> {
                self.handle().info()
            }

            /// Sends small pieces at once (`TCP_NODELAY`), or again holds them back while data is
            /// in flight (RFC 9293 §3.7.4).
            ///
            /// # Errors
            /// When the endpoint has stopped.
            pub fn set_nodelay(&self, on: bool) -> std::io::Result<()> {
                self.handle().set(|endpoint, now, id| endpoint.set_nodelay(now, id, on))
            }

            /// Holds back less than a packet, for 200 ms at most, until uncorked or closed
            /// (`TCP_CORK`).
            ///
            /// # Errors
            /// When the endpoint has stopped.
            pub fn set_cork(&self, on: bool) -> std::io::Result<()> {
                self.handle().set(|endpoint, now, id| endpoint.set_cork(now, id, on))
            }

            /// Probes every subflow, later ones too, while it is idle, or no longer (RFC 9293
            /// §3.8.4). One that does not answer ends, and with the last one the connection.
            ///
            /// # Errors
            /// When the endpoint has stopped.
            pub fn set_keepalive(
                &self,
                keepalive: Option<$crate::Keepalive>,
            ) -> std::io::Result<()> {
                self.handle().set(|endpoint, now, id| endpoint.set_keepalive(now, id, keepalive))
            }

            /// How long data may stay unacknowledged, on a subflow and on all together, before it
            /// is given up (RFC 9293 §3.8.3, `TCP_USER_TIMEOUT`).
            ///
            /// # Errors
            /// When the endpoint has stopped.
            pub fn set_user_timeout(&self, timeout: std::time::Duration) -> std::io::Result<()> {
                self.handle().set(|endpoint, now, id| endpoint.set_user_timeout(now, id, timeout))
            }
        }
    };
}

pub(crate) use accessors;
