package server

// getConnections is Reverb's: {"connections": n}.
func (s *Server) getConnections(c call) (any, error) {
	return map[string]int64{"connections": c.app.connections.Load()}, nil
}

// terminate closes all of a user's connections; they may come back. A user who
// has none is no error, as in Pusher.
func (s *Server) terminate(c call) (any, error) {
	c.app.present.terminate(c.path("user_id"))
	return struct{}{}, nil
}
