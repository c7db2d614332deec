package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDockerfile: what an engine would find in the image; scripts/image-smoke.sh runs
// the same program in an empty root.
func TestDockerfile(t *testing.T) {
	text := strings.ReplaceAll(read(t, "Dockerfile"), "\\\n", "")
	_, image, ok := strings.Cut(text, "\nFROM scratch\n")
	if !ok {
		t.Fatal("the image isn't made from scratch")
	}
	line := func(pattern string) []string {
		t.Helper()
		all := regexp.MustCompile(`(?m)^`+pattern+`$`).FindAllStringSubmatch(image, -1)
		if len(all) != 1 {
			t.Fatalf("the Dockerfile's last stage has %d lines of the form %s", len(all), pattern)
		}
		return all[0]
	}
	line(`USER 65532:65532`)
	line(`STOPSIGNAL SIGTERM`)
	labels := line(`LABEL (.*)`)[1]
	for _, name := range []string{"title", "description", "licenses", "version", "revision"} {
		if !strings.Contains(labels, "org.opencontainers.image."+name+`="`) {
			t.Errorf("the image has no label org.opencontainers.image.%s", name)
		}
	}
	for _, command := range []string{line(`HEALTHCHECK .*CMD \["/broadcastd", "(\w+)"\]`)[1], line(`CMD \["(\w+)"\]`)[1]} {
		if out, err := broadcastd(t, nil, command, "--help").CombinedOutput(); err != nil || !strings.Contains(string(out), "broadcastd "+command) {
			t.Errorf("the program has no command %s: %v\n%s", command, err, out)
		}
	}
	config := read(t, "config.yaml")
	for port := range strings.FieldsSeq(line(`EXPOSE (.*)`)[1]) {
		if !regexp.MustCompile(`(?m)^(port: |  listen: 127.0.0.1:)` + port + `$`).MatchString(config) {
			t.Errorf("the image exposes %s, on which the daemon doesn't listen", port)
		}
	}
}

// TestComposeFitsTheProgram: the daemon takes the environment that each service has,
// and gets the time to end.
func TestComposeFitsTheProgram(t *testing.T) {
	for _, name := range []string{"compose.yaml", "compose.cluster.yaml"} {
		file := parse[struct {
			Services map[string]struct {
				Image       string
				Environment map[string]string
				Stop        string `yaml:"stop_grace_period"`
				Ports       []string
			}
		}](t, read(t, name))
		found := 0
		for service, s := range file.Services {
			if s.Image != "broadcastd" {
				continue
			}
			found++
			var env []string
			for key, value := range s.Environment {
				if strings.HasPrefix(value, "${"+key+":?") {
					value = "given"
				}
				if value != "" {
					env = append(env, key+"="+value)
				}
			}
			slices.Sort(env)
			if out, err := broadcastd(t, env, "check").CombinedOutput(); err != nil {
				t.Errorf("%s, service %s: broadcastd check: %v\n%s", name, service, err, out)
			}
			if grace, timeout := duration(t, s.Stop), defaults(t, "shutdown_timeout"); grace <= timeout {
				t.Errorf("%s, service %s: stop_grace_period is %v, shutdown_timeout %v", name, service, grace, timeout)
			}
		}
		if found == 0 {
			t.Errorf("%s has no service of the image broadcastd", name)
		}
	}
}
