package cluster

import "math"

// maxSeen bounds the nodes of which numbers are remembered.
const maxSeen = 1000

// seenLength is of how many of a node's numbers it is known whether they were
// seen: of more than a node adds once more.
const seenLength = 2 * maxSent

// seen are the numbers that a node gave to its entries and that were read. They come
// in order, but for those that are added once more after a Redis has lost them.
type seen struct {
	at   position // of the last entry
	last uint64
	bits [seenLength / 64]uint64 // of the numbers up to last, by what remains of seenLength
}

// see notes a number and reports whether it is new. One that is too old to be known
// is not.
func (s *seen) see(number uint64) bool {
	if number+seenLength <= s.last {
		return false
	}
	if number > s.last {
		if number-s.last >= seenLength {
			clear(s.bits[:])
		} else {
			for n := s.last + 1; n < number; n++ {
				s.set(n, false)
			}
		}
		s.last = number
		s.set(number, true)
		return true
	}
	if s.has(number) {
		return false
	}
	s.set(number, true)
	return true
}

// see notes an entry's number, by its from, and reports whether it is new. It needs
// p.turn.
func (p *partition) see(generation string, number uint64) bool {
	s := p.seen[generation]
	if s == nil {
		s = p.meet(generation, number)
	}
	s.at = p.at
	return s.see(number)
}

// meet begins to remember a node's numbers. What another had added before is older
// than what this one reads. It needs p.turn.
func (p *partition) meet(generation string, number uint64) *seen {
	if len(p.seen) >= maxSeen {
		oldest := ""
		for other, s := range p.seen {
			if oldest == "" || s.at.before(p.seen[oldest].at) {
				oldest = other
			}
		}
		delete(p.seen, oldest)
	}
	s := new(seen)
	p.mu.Lock()
	own := generation == p.generation
	p.mu.Unlock()
	if !own && number > 0 {
		s.last = number - 1
		for i := range s.bits {
			s.bits[i] = math.MaxUint64
		}
	}
	p.seen[generation] = s
	return s
}

func (s *seen) has(number uint64) bool { return s.bits[number%seenLength/64]&(1<<(number%64)) != 0 }

func (s *seen) set(number uint64, is bool) {
	if is {
		s.bits[number%seenLength/64] |= 1 << (number % 64)
	} else {
		s.bits[number%seenLength/64] &^= 1 << (number % 64)
	}
}
