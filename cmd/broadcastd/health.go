package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"broadcastd/internal/config"
)

// newHealth is for containers, which have no other program to ask with.
func newHealth(env []string) *cobra.Command {
	s := &settings{env: env}
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running server whether it is up",
		Long:  "Ask the server that runs with the same configuration whether it is up; the exit code is 0 if it is.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := s.load(cmd)
			if err != nil {
				return err
			}
			return askHealth(cmd.Context(), &loaded.Config)
		},
	}
	s.addFlags(cmd)
	return cmd
}

func askHealth(ctx context.Context, cfg *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	scheme := "http://"
	if cfg.TLS.Cert != "" {
		scheme = "https://"
	}
	url := scheme + net.JoinHostPort(localHost(cfg.Host), strconv.Itoa(cfg.Port)) + cfg.Path + "/up"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := localClient(dialClients(cfg)).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return nil
}
