package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
)

// publisher sends an event and returns once it was accepted.
type publisher func(ctx context.Context, e event) error

// redisPrefix is that of a Laravel app of the default name.
const redisPrefix = "laravel-database-"

// broadcastScript does what Laravel's redis broadcaster does: one call for an
// event, whatever the number of its channels.
const broadcastScript = `for n = 2, #ARGV do redis.call('publish', ARGV[n], ARGV[1]) end`

// redisPublisher publishes as Laravel does, one event at a time.
func redisPublisher(client *redis.Client) publisher {
	return func(ctx context.Context, e event) error {
		err := client.Eval(ctx, broadcastScript, nil, e.redisPayload(), redisPrefix+e.channel).Err()
		if err != nil && !errors.Is(err, redis.Nil) { // the script returns nothing
			return fmt.Errorf("publishing through Redis: %w", err)
		}
		return nil
	}
}

// logPublisher adds events to the log, as an API does that wants them kept.
func logPublisher(client *redis.Client) publisher { return burstPublisher(client, 1, 0) }

// burstPublisher adds n events at once, when it has got as many, or all there are.
func burstPublisher(client *redis.Client, n, all int) publisher {
	pipe := client.Pipeline()
	got := 0
	return func(ctx context.Context, e event) error {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: clusterLog, Values: []any{
			"channel", e.channel, "event", eventName, "data", e.data(),
		}})
		if got++; pipe.Len() < n && got != all {
			return nil
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("adding to the log: %w", err)
		}
		return nil
	}
}

// httpPublisher publishes by signed requests over one connection, one event at
// a time.
func httpPublisher(addr string, a app) publisher {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: patience}
	return func(ctx context.Context, e event) error {
		body, err := json.Marshal(map[string]string{"name": eventName, "channel": e.channel, "data": string(e.data())})
		if err != nil {
			return err
		}
		url := "http://" + addr + a.target("/apps/"+a.ID+"/events", body, time.Now())
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("publishing by HTTP: %w", err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			return fmt.Errorf("publishing by HTTP: %w", err)
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("publishing by HTTP: %s: %.200s", response.Status, answer)
		}
		return nil
	}
}
