package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
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
			host := loaded.Config.Host
			if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			scheme := "http://"
			if loaded.Config.TLS.Cert != "" {
				scheme = "https://"
			}
			return askHealth(cmd.Context(), scheme+net.JoinHostPort(host, strconv.Itoa(loaded.Config.Port))+loaded.Config.Path+"/up")
		},
	}
	s.addFlags(cmd)
	return cmd
}

func askHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		//nolint:gosec // The certificate is for another name, and nothing is said that a stranger may not hear.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return nil
}
