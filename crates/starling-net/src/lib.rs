//! QUIC endpoints, job sessions, blob transfer and job ads.
