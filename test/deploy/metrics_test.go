package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v3"
)

// query is a PromQL expression somewhere in deploy/.
type query struct {
	from   string // file and title, for failures
	expr   string
	legend string // what may hold {{label}}
}

func TestAlertRules(t *testing.T) {
	run(t, "promtool", "check", "rules", root("deploy/prometheus/alerts.yaml"))
	run(t, "promtool", "test", "rules", root("deploy/prometheus/alerts.test.yaml"))
	tests := read(t, "deploy/prometheus/alerts.test.yaml")
	doc := read(t, "docs/operations.md")
	for _, rule := range alerts(t) {
		if !regexp.MustCompile(`alertname: ` + rule.Alert + `\n\s+exp_alerts:\n`).MatchString(tests) {
			t.Errorf("deploy/prometheus/alerts.test.yaml doesn't make %s fire", rule.Alert)
		}
		if !strings.Contains(doc, "| `"+rule.Alert+"` |") {
			t.Errorf("docs/operations.md doesn't explain the alert %s", rule.Alert)
		}
	}
	for _, name := range regexp.MustCompile("\n\\| `(Broadcastd\\w+)` \\|").FindAllStringSubmatch(doc, -1) {
		if !slices.ContainsFunc(alerts(t), func(r alert) bool { return r.Alert == name[1] }) {
			t.Errorf("docs/operations.md explains the alert %s, which there is not", name[1])
		}
	}
}

// TestMetricsOfDeploy demands that each metric of the dashboard, the alerts and the
// autoscaler is one that the daemon has, with the labels and values that are asked
// for. It also is what promtool calls well made.
func TestMetricsOfDeploy(t *testing.T) {
	text := scrape(t)
	lint := exec.Command("promtool", "check", "metrics")
	lint.Stdin = bytes.NewReader(text)
	if out, err := lint.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	metrics := families(t, text)
	queries := slices.Concat(alertQueries(t), dashboardQueries(t), adapterQueries(t))
	var rules strings.Builder
	rules.WriteString("groups: [{name: queries, rules: [\n")
	for _, q := range queries {
		for _, problem := range q.check(metrics) {
			t.Errorf("%s: %s", q.from, problem)
		}
		rule, _ := json.Marshal(map[string]string{"record": "a:b", "expr": "vector(1) + scalar(" + q.prom() + ")"})
		if strings.Contains(q.expr, "<<") {
			continue // the adapter's template
		}
		fmt.Fprintf(&rules, "%s,\n", rule)
	}
	rules.WriteString("]}]\n")
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "promtool", "check", "rules", "--lint=none", file)

	// What no dashboard shows nobody looks at.
	shown := ""
	for _, q := range dashboardQueries(t) {
		shown += q.expr + "\n"
	}
	for name := range metrics {
		if strings.HasPrefix(name, "broadcastd_") && !regexp.MustCompile(`\b`+name+`(_bucket)?\b`).MatchString(shown) {
			t.Errorf("deploy/grafana/broadcastd.json doesn't show %s", name)
		}
	}
}

type alert struct {
	Alert, Expr string
	Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/prometheus/alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("deploy/prometheus/alerts.yaml has no alerts")
	}
	return all
}

func alertQueries(t *testing.T) []query {
	t.Helper()
	var all []query
	for _, a := range alerts(t) {
		all = append(all, query{"alert " + a.Alert, a.Expr, strings.ReplaceAll(a.Annotations["summary"], "$labels.", "")})
	}
	return all
}

func dashboardQueries(t *testing.T) []query {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Annotations struct {
			List []struct{ Name, Expr, TitleFormat string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/broadcastd.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []query
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, query{"panel " + p.Title, target.Expr, target.LegendFormat})
		}
	}
	for _, a := range dashboard.Annotations.List {
		all = append(all, query{"annotation " + a.Name, a.Expr, a.TitleFormat})
	}
	for _, v := range dashboard.Templating.List {
		if m := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Definition); m != nil {
			all = append(all, query{"variable " + v.Name, m[1], "{{" + m[2] + "}}"})
		}
	}
	if len(all) < 50 {
		t.Fatalf("deploy/grafana/broadcastd.json has %d queries", len(all))
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b(?:broadcastd|process|go)_\w+`)
	selector   = regexp.MustCompile(`(\w+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`(\w+)(=~|!=|=)"([^"]*)"`)
	grouping   = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	legend     = regexp.MustCompile(`\{\{ ?\$?(\w+) ?\}\}`)
)

// target are the labels that Prometheus adds by itself, in Kubernetes as well.
var target = []string{"instance", "job", "namespace", "pod"}

// prom is the expression with Grafana's variables replaced.
func (q query) prom() string {
	return strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$app", ".*").Replace(q.expr)
}

// check compares what the expression says with the metrics that there are.
func (q query) check(metrics map[string]*dto.MetricFamily) (problems []string) {
	labels := slices.Clone(target)
	for _, name := range metricName.FindAllString(q.expr, -1) {
		family := metrics[strings.TrimSuffix(name, "_bucket")]
		if family == nil {
			problems = append(problems, "the daemon has no metric "+name)
			continue
		}
		if strings.HasSuffix(name, "_bucket") {
			labels = append(labels, "le")
		}
		labels = append(labels, slices.Collect(maps.Keys(values(family)))...)
	}
	for _, s := range selector.FindAllStringSubmatch(q.prom(), -1) {
		family := metrics[strings.TrimSuffix(s[1], "_bucket")]
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			label, op, value := m[1], m[2], m[3]
			if family == nil || slices.Contains(target, label) {
				continue
			}
			there, ok := values(family)[label]
			if !ok {
				problems = append(problems, fmt.Sprintf("%s has no label %s", s[1], label))
				continue
			}
			if op == "=~" {
				for alternative := range strings.SplitSeq(value, "|") {
					re := regexp.MustCompile("^(?:" + alternative + ")$")
					if !slices.ContainsFunc(there, re.MatchString) && alternative != "[45].." {
						problems = append(problems, fmt.Sprintf("%s is never %s of %s", alternative, label, s[1]))
					}
				}
			} else if !slices.Contains(there, value) {
				problems = append(problems, fmt.Sprintf("%s is never %s of %s", value, label, s[1]))
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(q.expr, -1) {
		for label := range strings.SplitSeq(g[1], ",") {
			if label = strings.TrimSpace(label); !slices.Contains(labels, label) {
				problems = append(problems, "groups by "+label+", which none of its metrics has")
			}
		}
	}
	for _, l := range legend.FindAllStringSubmatch(q.legend, -1) {
		if l[1] != "value" && !slices.Contains(labels, l[1]) {
			problems = append(problems, "names {{"+l[1]+"}}, which none of its metrics has")
		}
	}
	return problems
}

// values are those that each label of a metric has.
func values(family *dto.MetricFamily) map[string][]string {
	all := map[string][]string{}
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			all[l.GetName()] = append(all[l.GetName()], l.GetValue())
		}
	}
	return all
}
