package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadcastd/internal/config"
)

// reloadTimeout is for reading a file and a few locks.
const reloadTimeout = 30 * time.Second

func newReload(env []string) *cobra.Command {
	s := &settings{env: env}
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a running server read its configuration again",
		Long: `Have the server that runs with the same configuration read it again, and print
what changed and what needs a restart. It is asked at admin.listen. A configuration
that is not valid changes nothing, and the exit code is 1. The environment and the
flags stay those that the server was started with. SIGHUP does the same, with the
outcome in the server's log.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := s.load(cmd)
			if loaded.From == nil { // not even readable
				return fmt.Errorf("nothing has changed, as the server was not asked: %w", err)
			}
			changes, err := askReload(cmd.Context(), loaded.Config.Admin)
			if err != nil {
				return err
			}
			printChanges(cmd.OutOrStdout(), changes)
			return nil
		},
	}
	s.addFlags(cmd)
	return cmd
}

func askReload(ctx context.Context, admin config.Admin) (changes config.Changes, err error) {
	addr, err := reachable(admin.Listen)
	if err != nil {
		return changes, err
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/reload", nil)
	if err != nil {
		return changes, err
	}
	if admin.Token != "" {
		req.Header.Set("Authorization", "Bearer "+admin.Token)
	}
	res, err := localClient(new(net.Dialer).DialContext).Do(req)
	if err != nil {
		return changes, fmt.Errorf("asking the server at admin.listen: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return changes, fmt.Errorf("asking the server at admin.listen: %w", err)
	}
	if res.StatusCode == http.StatusOK {
		return changes, json.Unmarshal(body, &changes)
	}
	var no struct{ Error string }
	_ = json.Unmarshal(body, &no) // what isn't JSON has none
	return changes, fmt.Errorf("the server refuses, and nothing has changed: %s", cmp.Or(no.Error, res.Status))
}

// reachable is how a listener on this machine is reached.
func reachable(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return "", errors.New("admin.listen names no address at which the server could be asked; send it SIGHUP instead")
	}
	return net.JoinHostPort(localHost(host), port), nil
}

func printChanges(w io.Writer, c config.Changes) {
	if len(c.Applied)+len(c.Restart) == 0 {
		fmt.Fprintln(w, "nothing has changed")
	}
	if len(c.Applied) > 0 {
		fmt.Fprintln(w, "applied:", strings.Join(c.Applied, ", "))
	}
	if len(c.Restart) > 0 {
		fmt.Fprintln(w, "needs a restart:", strings.Join(c.Restart, ", "))
	}
}
