package attack

import (
	"context"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"strings"
	"sync"
)

// channels are attacks by clients that speak the protocol, and may be members of a
// private channel.
var channels = []Attack{
	{Name: "100,000 subscribes on one connection", strike: subscribeMuch},
	{Name: "names that collide", strike: func(ctx context.Context, t *Target, i int) string {
		names := Colliding()
		var all strings.Builder
		for _, name := range names {
			all.WriteString(subscribe(name))
		}
		return t.frames(ctx, i, all.String(), awaiting(len(names), holds(joined)))
	}},
	{Name: "subscribes and unsubscribes", strike: func(ctx context.Context, t *Target, i int) string {
		name := fmt.Sprintf("jobs.%d", i)
		return t.frames(ctx, i, strings.Repeat(subscribe(name)+unsubscribe(name), batch), awaiting(batch, holds(joined)))
	}},
	{Name: "the same with 1,000 channels, one after the other", strike: churnWide},
	{Name: "pings of who is in 1,000 channels", strike: func(ctx context.Context, t *Target, i int) string {
		var all strings.Builder
		for n := range wide {
			all.WriteString(subscribe(fmt.Sprintf("jobs.%d.%d", i, n)))
		}
		all.WriteString(strings.Repeat(frame(fin|opPing, ""), 50*batch))
		return t.frames(ctx, i, all.String(), awaiting(50*batch, isPong))
	}},
	{Name: "forged signatures of channels", strike: func(ctx context.Context, t *Target, i int) string {
		c, err := t.connect(ctx, i, "")
		if err != nil {
			return unreached(ctx)
		}
		defer c.Close()
		forged := c.subscribeSigned(t.Key, "not "+t.Secret, t.Channel, "")
		return c.flood(strings.Repeat(forged, batch), func() string { return c.await(batch, holds(refused)) })
	}},
	{Name: "client events over the limit", strike: func(ctx context.Context, t *Target, i int) string {
		c, err := t.connect(ctx, i, "")
		if err != nil {
			return unreached(ctx)
		}
		defer c.Close()
		channel := fmt.Sprintf("private-job.%d", i)
		whisper := text(fmt.Sprintf(`{"event":"client-typing","channel":%q,"data":{"on":true}}`, channel))
		all := c.subscribeSigned(t.Key, t.Secret, channel, "") + strings.Repeat(whisper, batch) + message("pusher:ping", nil)
		return c.flood(all, func() string { return c.await(1, holds(pong)) })
	}},
	{Name: "members who join and leave", strike: joinAndLeave},
}

// wide is app.max_subscriptions by default.
const wide = 1000

// Colliding are channel names of one shard, and one partition, wherever a plain FNV
// or CRC of a name chooses among 64 of them.
var Colliding = sync.OnceValue(func() []string {
	const many, parts = 500, 64
	names := make([]string, 0, many)
	for i := 0; len(names) < many; i++ {
		name := fmt.Sprintf("jobs.%d", i)
		h := fnv.New32a()
		_, _ = h.Write([]byte(name)) // has no errors
		if h.Sum32()%parts == 0 && crc32.ChecksumIEEE([]byte(name))%parts == 0 {
			names = append(names, name)
		}
	}
	return names
})

// churnWide is in as many channels as it may, and leaves the one that it has been
// in for longest.
func churnWide(ctx context.Context, t *Target, i int) string {
	name := func(n int) string { return fmt.Sprintf("jobs.%d.%d", i, n%(wide+1)) }
	var all strings.Builder
	for n := range wide - 1 {
		all.WriteString(subscribe(name(n)))
	}
	for n := range batch {
		all.WriteString(subscribe(name(wide-1+n)) + unsubscribe(name(n)))
	}
	return t.frames(ctx, i, all.String(), awaiting(wide-1+batch, holds(joined)))
}

// joinAndLeave joins a presence channel and leaves it, of which its members are told
// each time, and stays connected meanwhile.
func joinAndLeave(ctx context.Context, t *Target, i int) string {
	c, err := t.connect(ctx, i, "")
	if err != nil {
		return unreached(ctx)
	}
	defer c.Close()
	const many = 500
	once := c.subscribeSigned(t.Key, t.Secret, t.Room, fmt.Sprintf(`{"user_id":"hostile-%d"}`, i)) + unsubscribe(t.Room)
	all := strings.Repeat(once, many)
	got := Answered
	for n := 0; n < t.Stay && got == Answered; n++ {
		got = c.flood(all, func() string { return c.await(many, holds(joined, refused)) })
	}
	return got
}

// subscribeMuch is in ever more channels.
func subscribeMuch(ctx context.Context, t *Target, i int) string {
	c, err := t.connect(ctx, i, "")
	if err != nil {
		return unreached(ctx)
	}
	defer c.Close()
	got := Answered
	for n := 0; n < 100_000 && got == Answered; {
		var some strings.Builder
		for range batch {
			some.WriteString(subscribe(fmt.Sprintf("jobs.%d.%d", i, n)))
			n++
		}
		got = c.flood(some.String(), func() string { return c.await(batch, holds(joined, refused)) })
	}
	return got
}
