package config

import "testing"

// TestLaravelPrefixes holds what Laravel's Str::slug makes of these names.
func TestLaravelPrefixes(t *testing.T) {
	for name, want := range map[string][2]string{
		"Laravel":              {"laravel-database-", "laravel_database_"},
		"Job Marketplace":      {"job-marketplace-database-", "job_marketplace_database_"},
		"job-marketplace_2":    {"job-marketplace-2-database-", "job_marketplace_2_database_"},
		"  Jobs -- & -- More ": {"jobs-more-database-", "jobs_more_database_"},
		"me@example.com":       {"me-at-examplecom-database-", "me_at_examplecom_database_"},
		"@":                    {"at-database-", "at_database_"},
		"Bob's \"Café\"":       {"bobs-cafe-database-", "bobs_cafe_database_"},
		"Cafe\u0301":           {"cafe-database-", "cafe_database_"},
		"Müller & Söhne GmbH":  {"muller-sohne-gmbh-database-", "muller_sohne_gmbh_database_"},
		"Straße":               {"strasse-database-", "strasse_database_"},
		"ŁÓDŹ Ærø İstanbul":    {"lodz-aero-istanbul-database-", "lodz_aero_istanbul_database_"},
		"Работа в Щёлково":     {"rabota-v-shhelkovo-database-", "rabota_v_shhelkovo_database_"},
		"Jobs–Market—24/7":     {"jobs-market-247-database-", "jobs_market_247_database_"},
		"a\u00a0b\u200bc\td":   {"a-b-c-d-database-", "a_b_c_d_database_"},
		"Jobs 🚀 “Pro”™":        {"jobs-pro-database-", "jobs_pro_database_"},
		"❤️ Jobs":              {"jobs-database-", "jobs_database_"},
		"":                     {"-database-", "_database_"},
	} {
		got, err := laravelPrefixes(name)
		if err != nil || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%q: got %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestNamesBeyondTheTables(t *testing.T) {
	for _, name := range []string{"求人", "Ελλάδα", "5 €", "x²", "वेब", "ฉัน"} {
		if got, err := laravelPrefixes(name); err == nil {
			t.Errorf("%q: got %q, want an error", name, got)
		}
	}
}
