// Package server is the daemon's edge: it accepts WebSocket clients and runs
// their sessions, takes signed HTTP events, lets clients have their
// subscriptions signed, and shows metrics and health. It joins the packages
// channels, auth and internal/socket, which don't know each other.
package server
