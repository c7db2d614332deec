package main

// Users are the people of the demonstration. Their tokens are no secret: the
// page offers them to choose from.
var Users = []User{
	{7, "Zoë Laurent", RoleClient, "token-client-7"},
	{8, "Marcus Webb", RoleClient, "token-client-8"},
	{9, "José Álvarez", RoleFreelancer, "token-freelancer-9"},
	{12, "Mila Sørensen", RoleFreelancer, "token-freelancer-12"},
}

// DemoMarket is a market with some offers in it, so that the page has
// something to show.
func DemoMarket() *Market {
	m := NewMarket(40, map[int]Money{7: 500000, 8: 350000, 9: 12050, 12: 0})
	for _, offer := range []struct {
		client       User
		title, about string
		budget       Money
	}{
		{Users[0], "Photograph the summer menu",
			"Twelve dishes and the terrace, one afternoon in Lyon. Natural light, edited files within a week.", 48000},
		{Users[1], "Translate a landing page into Spanish",
			"About 900 words for a shop that sells bicycles. Friendly tone, European Spanish.", 24000},
		{Users[1], "Speed up our checkout",
			"The payment step takes four seconds on phones. Find out why, fix it, show the figures.", 120050},
	} {
		if _, err := m.Post(offer.client, offer.title, offer.about, offer.budget); err != nil {
			panic("examples/jobs: a built-in offer is refused: " + err.Error())
		}
	}
	return m
}
