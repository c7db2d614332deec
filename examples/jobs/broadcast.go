package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Event is what the application tells its users, as a Laravel event with
// broadcastAs, broadcastOn and broadcastWith does.
type Event struct {
	Name     string
	Channels []string
	Data     Object
	// ToOthers leaves out the window that caused the event, which Laravel
	// knows by the request's X-Socket-ID. It stands for an event class with the
	// trait InteractsWithSockets that is sent with broadcast(...)->toOthers().
	ToOthers bool
}

// Discovery is the public channel of the feed of open jobs.
const Discovery = "jobs.discovery"

func jobChannel(id int) string  { return "private-job." + strconv.Itoa(id) }
func userChannel(id int) string { return "private-user." + strconv.Itoa(id) }

// JobPosted puts a job into everybody's feed.
func JobPosted(j Job) Event {
	return Event{
		Name:     "job.posted",
		Channels: []string{Discovery},
		Data: Object{{"job", Object{
			{"id", j.ID}, {"title", j.Title}, {"budget", j.Budget},
			{"client_id", j.ClientID}, {"description", j.Description},
		}}},
		ToOthers: true,
	}
}

// JobClaimed tells those who follow the job, and its client wherever they are.
func JobClaimed(j Job, freelancer User) Event {
	return Event{
		Name:     "job.claimed",
		Channels: []string{jobChannel(j.ID), userChannel(j.ClientID)},
		Data: Object{
			{"job", Object{{"id", j.ID}, {"status", j.Status}}},
			{"freelancer", Object{{"id", freelancer.ID}, {"name", freelancer.Name}}},
		},
		ToOthers: true,
	}
}

// JobUpdated tells a channel what changed about a job: the job's own channel
// hears all of it, the discovery feed only that a job is no longer open.
func JobUpdated(channel string, id int, changes Object) Event {
	return Event{
		Name:     "job.updated",
		Channels: []string{channel},
		Data:     Object{{"id", id}, {"changes", changes}},
		ToOthers: true,
	}
}

// WalletUpdated tells all windows of a user their new balance, also the one
// that caused it.
func WalletUpdated(userID int, balance Money) Event {
	return Event{
		Name:     "wallet.updated",
		Channels: []string{userChannel(userID)},
		Data:     Object{{"balance", balance.String()}, {"currency", Currency}},
	}
}

// Payload is the message that Laravel's redis broadcaster publishes. socket is
// the request's X-Socket-ID, nil without one. Events to others have it twice,
// as Laravel leaves it in the data; the rest have no trace of it there.
func (e Event) Payload(socket *string) ([]byte, error) {
	data := e.Data
	if e.ToOthers {
		data = data.with("socket", socket)
	} else {
		socket = nil
	}
	return PHPJSON(Object{{"event", e.Name}, {"data", data}, {"socket", socket}})
}

// publishScript sends ARGV[1] to each of the channels in ARGV[2..]: one round
// trip for any number of channels, and no keys, as Laravel does it.
const publishScript = `local payload = ARGV[1]
for i = 2, #ARGV do redis.call('PUBLISH', ARGV[i], payload) end`

// Broadcaster publishes events into Redis.
type Broadcaster struct {
	Redis  *redis.Client
	Prefix string // Laravel's redis.options.prefix
}

// Broadcast publishes an event. sent_at, in milliseconds, is there for the
// page, which shows how long each event took.
func (b *Broadcaster) Broadcast(ctx context.Context, e Event, socket *string) error {
	e.Data = e.Data.with("sent_at", time.Now().UnixMilli())
	payload, err := e.Payload(socket)
	if err != nil {
		return fmt.Errorf("encode %s: %w", e.Name, err)
	}
	args := []any{payload}
	for _, channel := range e.Channels {
		args = append(args, b.Prefix+channel)
	}
	err = b.Redis.Eval(ctx, publishScript, nil, args...).Err()
	if err != nil && !errors.Is(err, redis.Nil) { // Nil: the script returns nothing
		return fmt.Errorf("publish %s: %w", e.Name, err)
	}
	return nil
}
