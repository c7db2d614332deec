package cluster_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"broadcastd/auth"
)

// ask makes a signed request of a node's HTTP API. A status of 0: no answer.
func (n *node) ask(method, path string, params map[string]string, body []byte, into any) (status int, err error) {
	addr, _, _ := n.at()
	path = "/apps/" + appID + path
	query := auth.SignRequest(method, path, params, body, key, secret, time.Now())
	req, err := http.NewRequest(method, "http://"+addr+path+"?"+query, strings.NewReader(string(body)))
	if err != nil {
		return 0, err
	}
	res, err := web.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, fmt.Errorf("node %s answered %d: %s", n.name, res.StatusCode, text)
	}
	if into == nil {
		return res.StatusCode, nil
	}
	return res.StatusCode, json.Unmarshal(text, into)
}

// publish gives a node an event.
func (n *node) publish(data string, channels ...string) (status int, err error) {
	body, err := json.Marshal(map[string]any{"name": "event", "channels": channels, "data": data})
	if err != nil {
		return 0, err
	}
	return n.ask(http.MethodPost, "/events", nil, body, nil)
}
