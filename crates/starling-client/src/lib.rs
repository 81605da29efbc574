//! A client: executes a guest, schedules its tasks over nodes, verifies and delivers the receipt.
