package redisbridge

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"broadcastd/test/redistest"
)

// What a user of a Cluster needs beside the commands that are sent is to ask
// where the slots are; a refusal of anything else would come with each command.
func TestClusterClientAsksForLittle(t *testing.T) {
	ctx := context.Background()
	c := redistest.StartCluster(t, "--user", "node", "on", ">hunter2", "~b:*",
		"+cluster|slots", "+xadd", "+xread", "+evalsha", "+eval", "+hgetall")
	client, err := NewClient(c.URLAs("node", "hunter2"), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	entry := func(key string) *redis.XAddArgs { return &redis.XAddArgs{Stream: key, Values: []string{"a", "b"}} }
	pipe := client.Pipeline()
	for _, key := range []string{"b:{1:0}:log", "b:{1:2}:log", "b:{1:3}:log"} { // of three masters
		if err := client.XAdd(ctx, entry(key)).Err(); err != nil {
			t.Error(err)
		}
		pipe.XAdd(ctx, entry(key))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Error(err)
	}
	if err := client.XRead(ctx, &redis.XReadArgs{Streams: []string{"b:{1:0}:log", "0"}, Block: -1}).Err(); err != nil {
		t.Error(err)
	}
	if err := redis.NewScript("return redis.call('hgetall', KEYS[1])").Run(ctx, client, []string{"b:{1:0}:info"}).Err(); err != nil {
		t.Error(err)
	}
	for i := range 6 {
		refused, err := c.Node(i).Client().ACLLog(ctx, 10).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range refused {
			t.Errorf("%s was refused, for %s, %d times", r.Object, r.Reason, r.Count)
		}
	}
}
