package server

import (
	"sync"
	"time"
)

// seldomEvery bounds the lines in the log about the same thing, one in this time: who
// knows how to cause it must not fill the log.
const seldomEvery = time.Minute

// seldom remembers when things were last logged.
type seldom struct {
	mu   sync.Mutex
	last map[string]time.Time // guarded by mu
}

func (s *seldom) due(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, seen := s.last[what]; seen && time.Since(last) < seldomEvery {
		return false
	}
	if s.last == nil {
		s.last = map[string]time.Time{}
	}
	s.last[what] = time.Now()
	return true
}
