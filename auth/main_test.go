package auth

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loadFixture reads what a real Laravel application sent or answered.
func loadFixture(tb testing.TB, name string, into any) {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "test", "fixtures", name))
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
}

// refusal demands that err is one, fit for a client and a metric.
func refusal(t *testing.T, err error) *Refusal {
	t.Helper()
	r, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("error is a %T, want a *Refusal: %v", err, err)
	}
	if !slices.Contains(slices.Concat(signatureReasons, callResults, ownResults), r.Reason) {
		t.Errorf("reason %q is in no list of metric labels", r.Reason)
	}
	if r.Status < 400 || r.Status > 599 {
		t.Errorf("status %d of %s is no refusal", r.Status, r.Reason)
	}
	if r.Message == "" || strings.ContainsAny(r.Message, "\r\n") {
		t.Errorf("message of %s is not one line: %q", r.Reason, r.Message)
	}
	return r
}

// reasonOf is the reason of a refusal and "ok" without one.
func reasonOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return resultOK
	}
	return refusal(t, err).Reason
}
