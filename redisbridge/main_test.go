package redisbridge

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets go-redis find out, within a second, that a client whose connection
// broke was closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// published is a message of test/fixtures/redis-publish.json.
type published struct {
	Client   string  `json:"client"`
	Event    string  `json:"event"`
	Channel  string  `json:"channel"`
	Payload  string  `json:"payload"`
	SocketID *string `json:"x_socket_id"`
}

// apiRequest is a request of test/fixtures/http-api.json.
type apiRequest struct {
	Driver   string  `json:"driver"`
	Event    string  `json:"event"`
	Body     string  `json:"body"`
	SocketID *string `json:"x_socket_id"`
}

func readFixture[T any](tb testing.TB, name string) []T {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "test", "fixtures", name))
	if err != nil {
		tb.Fatal(err)
	}
	var entries []T
	if err := json.Unmarshal(text, &entries); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return entries
}
