package audit

import "sync"

// queue makes one goroutine at a time the owner of the files, and lets it serve
// those who wait: nobody is woken only to write, and what gathered during a write
// goes to disk with the next one. Who finds no owner becomes it at once, so a
// caller without company pays for two short locks and nothing else.
type queue struct {
	mu      sync.Mutex
	owned   bool
	waiting []*entry // not served yet, in the order of arrival
	served  []*entry // the batch of the owner
}

// entry is what one caller wants: a record to be written, or something to be done
// with the files by their owner.
type entry struct {
	record *Record
	body   []byte // of the record
	do     func()
	err    error
	wake   chan bool // false: it is done; true: the files are yours
}

func newEntry() *entry { return &entry{wake: make(chan bool, 1)} }

// maxRounds is how many batches of others an owner serves before one of them takes
// over: its own call waits meanwhile.
const maxRounds = 4

// submit returns when e is done, by this goroutine or by another one that owned
// the files.
func (l *Log) submit(e *entry) {
	l.mu.Lock()
	l.waiting = append(l.waiting, e)
	owned := l.owned
	l.owned = true
	l.mu.Unlock()
	if owned {
		if takesOver := <-e.wake; !takesOver {
			return
		}
	}
	l.serve(e)
}

// serve does what own and others want, until nobody waits or it is somebody
// else's turn.
func (l *Log) serve(own *entry) {
	for round := range maxRounds {
		batch := l.next()
		if batch == nil {
			return
		}
		l.process(batch)
		for _, e := range batch {
			if e != own {
				e.wake <- false
			}
		}
		clear(batch)
		if l.each && round == 0 {
			break // another sync is long, and waking somebody is short
		}
	}
	l.handOver()
}

// next takes all who wait. Without any it gives the files up and returns nil.
func (l *Log) next() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.owned = false
		return nil
	}
	l.waiting, l.served = l.served[:0], l.waiting
	return l.served
}

func (l *Log) handOver() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.owned = false
		return
	}
	l.waiting[0].wake <- true
}

// process writes the records of a batch with one write, and then does the rest.
func (l *Log) process(batch []*entry) {
	records := 0
	for _, e := range batch {
		if e.record != nil {
			records++
		}
	}
	if records > 0 {
		err := l.write(batch, records)
		for _, e := range batch {
			e.err = err
		}
	}
	for _, e := range batch {
		if e.do != nil {
			e.do()
		}
	}
}

// own runs do while no other goroutine uses the files.
func (l *Log) own(do func()) {
	e := newEntry()
	e.do = do
	l.submit(e)
}
