package server

// getConnections is Reverb's: {"connections": n}.
func (s *Server) getConnections(c call) (any, error) {
	n, err := s.connections(c.app)
	if err != nil {
		return nil, err
	}
	return map[string]int{"connections": n}, nil
}

// terminate closes all of a user's connections; they may come back. A user who
// has none is no error, as in Pusher.
func (s *Server) terminate(c call) (any, error) {
	return struct{}{}, s.terminateUser(c.app, c.path("user_id"))
}
