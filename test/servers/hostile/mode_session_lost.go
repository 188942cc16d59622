package main

// sessionLost is carried out by the HTTP front, which asks losesSession after
// each request.
var sessionLost = mode{
	name:  "session-lost",
	about: "HTTP: the session is forgotten once, after -after calls",
}

func (s *server) losesSession() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opt.mode != sessionLost.name || s.lost || s.calls < s.opt.after {
		return false
	}
	s.lost = true
	return true
}
