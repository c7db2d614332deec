package main

import (
	"bytes"
	"fmt"
	"time"
)

const (
	eventName = "bench.event"
	// eventSize is the size of an event's data in bytes: that of a job with a
	// short title.
	eventSize = 200
	// minSize is what an event at least takes, and maxEventSize what the daemon
	// accepts, app.max_event_size.
	minSize      = 95
	maxEventSize = 100 << 10
	// maxMessage is the largest message of a client, app.max_message_size.
	maxMessage = 100 << 10
)

// event is what a publisher sends.
type event struct {
	channel string
	run     int64     // the load it belongs to
	seq     int       // its number among the load's events for its channel
	began   time.Time // when its publish began
	size    int       // of its data, in bytes, minSize at least
}

// data is the event's data as JSON: what the load has to know, and jobs as
// the marketplace has them, which compress as an app's own data does.
func (e event) data() []byte {
	b := make([]byte, 0, e.size+1)
	b = fmt.Appendf(b, `{"run":%d,"seq":%d,"began":%d,"jobs":[`, e.run, e.seq, e.began.UnixNano())
	const end = `],"note":""}`
	for i := e.seq; ; i++ {
		job := jobs[i%len(jobs)]
		if len(b)+len(job)+1+len(end) > e.size {
			break
		}
		b = append(append(b, job...), ',')
	}
	b = append(bytes.TrimSuffix(b, []byte(",")), end[:len(end)-2]...)
	for i := e.seq; len(b) < e.size-2; i++ {
		b = append(b, "jobs near you "[i%14])
	}
	return append(b, '"', '}')
}

// jobs are texts of JSON objects that differ in the way that a table's rows do.
var jobs = makeJobs()

func makeJobs() []string {
	trades := []string{"Plumber", "Painter", "Translator", "Gardener", "Carpenter", "Tutor", "Electrician"}
	towns := []string{"Leeds", "Porto", "Lyon", "Graz", "Bergen"}
	states := []string{"open", "claimed", "done"}
	all := make([]string, 0, 500)
	for i := range cap(all) {
		all = append(all, fmt.Sprintf(`{"id":%d,"title":"%s in %s","budget":%d,"state":"%s"}`,
			100_000+i*7919%900_000, trades[i%len(trades)], towns[i%len(towns)], 40+i*37%960, states[i%len(states)]))
	}
	return all
}

// redisPayload is the event as Laravel publishes it, with the socket to skip
// also inside the data.
func (e event) redisPayload() []byte {
	data := e.data()
	return fmt.Appendf(nil, `{"event":%q,"data":%s,"socket":null},"socket":null}`, eventName, data[:len(data)-1])
}

// message is the event as the daemon sends it on.
func (e event) message() []byte {
	return fmt.Appendf(nil, `{"event":%q,"channel":%q,"data":%q}`, eventName, e.channel, e.data())
}

// parseEvent finds run, seq and began in a message; false for other messages.
// It doesn't parse JSON, since the load's own work must stay small.
func parseEvent(message []byte) (e event, ok bool) {
	_, rest, _ := bytes.Cut(message, []byte(`\"run\":`))
	run, rest, ok1 := cutNumber(rest, `,\"seq\":`)
	seq, rest, ok2 := cutNumber(rest, `,\"began\":`)
	began, _, ok3 := cutNumber(rest, `,`)
	return event{run: run, seq: int(seq), began: time.Unix(0, began)}, ok1 && ok2 && ok3
}

// cutNumber takes a number and what must follow it off b.
func cutNumber(b []byte, follows string) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	if i == 0 || !bytes.HasPrefix(b[i:], []byte(follows)) {
		return 0, nil, false
	}
	return n, b[i+len(follows):], true
}
