"""The words of the simulated model: nothing but data, read by ``simulated_text``.

A *clause* is a statement that begins in lower case and ends without a mark, so
that it can stand alone, after "so" or before a semicolon. A *frame* is a
sentence with a place for a clause, and perhaps for a fact. A *theme* collects
the clauses that suit sections of one kind.

Places: ``{topic}`` what the section is about, ``{few}`` a small number,
``{share}`` a percentage, ``{period}`` a stretch of time, ``{value}`` and
``{label}`` a fact from the prompt, ``{clause}`` a clause (``{Clause}`` begins
the sentence). ``OFFERS`` are whole phrases for JSON.
"""

from __future__ import annotations

from typing import NamedTuple


class Theme(NamedTuple):
    """Clauses for sections whose title has one of ``stems``; ``labels`` are the facts they want."""

    stems: tuple[str, ...]
    labels: tuple[str, ...]
    clauses: tuple[str, ...]


THEMES: tuple[Theme, ...] = (
    Theme(
        ("motiv", "purpose", "why", "vision"),
        ("goal", "experience", "interest"),
        (
            "the pull comes from work whose progress can be seen within {period}",
            "independence matters more here than a large first cheque",
            "the wish to build something of your own outweighs the wish to manage others",
            "a visible result for {few} real people keeps the energy up longer than a forecast",
            "curiosity has carried you this far, and it is still the cheapest fuel there is",
            "earlier work shows a habit of fixing what annoys everybody else",
            "a project that teaches something every {period} will survive a slow start",
            "the reason to begin is stronger than the reason to wait for a perfect moment",
        ),
    ),
    Theme(
        ("constraint", "operating", "limit", "boundar"),
        ("time", "budget", "work style", "commitment"),
        (
            "the calendar, not the idea, is the tightest limit",
            "anything that needs attention in office hours has to be ruled out early",
            "fixed blocks of {few} hours work better than scattered evenings",
            "spending is safe only where it replaces hours that do not exist",
            "support promises must fit into the hours that are left after building",
            "a scope that one person can explain in {few} sentences is a scope that holds",
            "each new tool costs a setup evening before it saves one",
            "work that can be paused for {period} without harm comes first",
        ),
    ),
    Theme(
        ("opportunit", "opening", "niche", "potential", "white space", "blue ocean"),
        ("interest", "sub interest", "market", "area"),
        (
            "small buyers are served last by the large suppliers, which leaves room",
            "about {share} of the routine work in this field is still done by hand",
            "a narrow promise to one trade travels faster than a broad one to all of them",
            "the gap is not missing software but missing patience with odd cases",
            "buyers already pay for workarounds, so a budget exists",
            "new entrants win where setup takes {few} minutes and not {few} meetings",
            "the unglamorous half of the field has fewer rivals and steadier customers",
            "a template that solves one case well can be sold {few} times with small changes",
        ),
    ),
    Theme(
        ("strength", "leverage", "asset", "advantage"),
        ("skill", "experience", "strength"),
        (
            "the ability to see structure in a muddle is rarer than the ability to code",
            "people who have done the job themselves spot a false promise in {few} seconds",
            "clear writing doubles as sales, support and documentation",
            "a network of former colleagues is a first list of {few} honest testers",
            "a calm way with numbers protects against the most common early mistakes",
            "knowing how decisions are made inside a company shortens every sale",
            "the discipline of finishing is worth more than another technique",
            "practice in explaining hard things makes onboarding almost free",
        ),
    ),
    Theme(
        ("gap", "learn", "weakness", "missing"),
        ("skill", "strength", "experience"),
        (
            "asking strangers for money is the skill to practise first",
            "pricing is learnt by naming {few} different prices to {few} different people",
            "a basic grasp of contracts and privacy rules prevents expensive repairs",
            "copywriting for one page can be learnt in {period} by rewriting it weekly",
            "measuring what visitors do takes an afternoon and settles most arguments",
            "saying no to a poor customer is a skill that pays for itself",
            "light design sense is enough; a borrowed layout closes the rest of the gap",
            "someone else should look at the accounts every {period}",
        ),
    ),
    Theme(
        ("recommend", "advice", "best fit", "comprehensive", "conclusion", "verdict"),
        ("goal", "idea", "time", "budget"),
        (
            "the first idea to try is the one that can disappoint you soonest",
            "one offer, one buyer and one channel are enough for {period}",
            "the second idea stays in a drawer until the first has had {few} honest refusals",
            "a date for stopping should be set before the date for starting",
            "charging from the first customer filters the polite from the interested",
            "the plan gets simpler if every week ends with something a customer can see",
            "help is best asked for in small pieces with a clear end",
            "comfort with the daily work should break the tie between two equal options",
        ),
    ),
    Theme(
        ("idea", "concept", "option", "shortlist"),
        ("idea", "name", "interest", "skill"),
        (
            "each option starts from a task that somebody repeats at least {few} times a week",
            "the lightest version replaces one spreadsheet and one reminder",
            "a service done by hand shows within {period} which part is worth automating",
            "the options differ less in effort than in how soon they meet a paying customer",
            "the strongest candidate has buyers who already talk to each other",
            "a small fixed price is easier to say yes to than a free trial of unclear length",
            "none of these needs outside money to reach its first {few} customers",
            "the idea that needs the fewest explanations should be shown first",
        ),
    ),
    Theme(
        ("trend", "outlook", "develop", "demand"),
        ("interest", "trend", "growth", "year"),
        (
            "demand has moved from trying things out to wanting them to work on Monday",
            "buyers ask about data handling in the first call, not in the last",
            "yearly growth near {share} hides large differences between trades",
            "prices for the underlying technology fall while expectations of service rise",
            "smaller firms now follow larger ones after {period} and no longer after years",
            "search interest is steady, and that suits patient sellers better than a boom",
            "integration with what is already there has become the main reason to switch",
            "regulation is slow but points the same way in most countries",
        ),
    ),
    Theme(
        ("compet", "rival", "alternativ", "landscape", "supplier"),
        ("competitor", "name", "interest"),
        (
            "the real rival is a spreadsheet that nobody loves and everybody understands",
            "the big platforms sell breadth and leave the last {share} of the work to the user",
            "agencies solve the same problem at {few} times the price and half the speed",
            "reviews of the leading tools complain about setup more often than about features",
            "switching costs are low in the first {period} and high afterwards",
            "no supplier owns the word that customers use for this problem",
            "a competitor's public price list is the cheapest market study available",
            "copying a feature is easy, copying the trust of {few} reference customers is not",
        ),
    ),
    Theme(
        ("size", "volume", "tam", "addressable"),
        ("market", "size", "customers", "value"),
        (
            "the reachable part of the market matters more than its total",
            "a count from below starts with the firms within reach of one phone call",
            "roughly {share} of those firms feel the problem every week",
            "a realistic share after the first year is well below {share}",
            "spending per buyer is modest but returns every month",
            "the total looks large only until firms with in-house teams are taken out",
            "{few} hundred paying customers would already carry one person",
            "published estimates differ by a factor of {few}, so they serve as a frame only",
        ),
    ),
    Theme(
        ("validat", "test", "experiment", "proof", "evidence"),
        ("score", "verdict", "idea", "signal"),
        (
            "a page with a price and a button answers more than an opinion poll",
            "the test counts only if it could have failed",
            "{few} paid pilots say more than {few} hundred sign-ups",
            "the person who has the problem must also be the person who can pay",
            "interest that does not lead to a second conversation is politeness",
            "a result is worth writing down before it is known what it should have been",
            "the riskiest assumption gets tested first, even if another is easier",
            "a deposit, however small, separates wishes from plans",
        ),
    ),
    Theme(
        ("risk", "threat", "danger", "pitfall", "mitigat"),
        ("risk", "budget", "work style", "severity"),
        (
            "the likeliest failure is a quiet one in which nobody objects and nobody buys",
            "dependence on one platform can end the business with one change of terms",
            "tiredness after {period} of evenings is a risk like any other and can be planned for",
            "a single large customer feels safe until the day it leaves",
            "errors in automated answers cost trust faster than slow answers do",
            "personal data that is never collected can never leak",
            "a written limit on losses keeps a bad month from becoming a bad year",
            "sales that depend on one season need a reserve of {few} months",
        ),
    ),
    Theme(
        ("cost", "expense", "spend", "invest"),
        ("cost", "budget", "monthly", "total"),
        (
            "the largest cost is time, and it appears on no invoice",
            "running costs stay small until the first {few} customers arrive",
            "free tiers carry the first {period} if alerts are set on them",
            "money for advertising is wasted before the page converts {share} of its visitors",
            "a lawyer's hour is cheapest before the first contract",
            "subscriptions should be listed once and half of them cancelled",
            "a small reserve for refunds buys a generous guarantee",
            "hardware can wait; a domain, a mailbox and insurance cannot",
        ),
    ),
    Theme(
        ("revenue", "pricing", "income", "monetis", "monetiz", "sales"),
        ("revenue", "price", "month", "customers"),
        (
            "monthly fees smooth the income that projects make jumpy",
            "the first price is almost always too low, and raising it for new customers is easy",
            "income grows in steps of one customer, so each step should be worth the trouble",
            "a yearly plan with {share} off brings cash when it is needed most",
            "setup fees pay for the hours that subscriptions hide",
            "losing {share} of customers a month doubles the work of finding new ones",
            "referrals become the main source after about {period}",
            "a second product for the same buyer beats the same product for a second market",
        ),
    ),
    Theme(
        ("viab", "financ", "break-even", "profit", "margin", "cash"),
        ("break even", "budget", "cost", "revenue", "verdict"),
        (
            "the numbers work as soon as {few} customers stay longer than {period}",
            "break-even depends on hours sold far more than on hosting",
            "a margin near {share} leaves room for one mistake",
            "cash arrives later than revenue, so the plan needs a cushion",
            "the model stays sound if the price is halved but not if support doubles",
            "profit in the first year is possible but should not be needed",
            "the downside is limited to savings that were set aside beforehand",
            "a monthly look at {few} figures is enough to steer by",
        ),
    ),
    Theme(
        ("persona", "customer", "buyer", "audience", "segment", "user"),
        ("persona", "name", "role", "idea", "age"),
        (
            "the typical buyer runs a small team and answers messages after dinner",
            "this person compares {few} offers and trusts the one that names a price",
            "time saved on Friday afternoon is felt more than money saved in a year",
            "they have tried a tool before, gave up in {period} and still feel guilty about it",
            "a recommendation from the same trade outweighs any advertisement",
            "they want to stay in charge and to be told what happened, in that order",
            "the decision is theirs alone below a modest sum and a committee's above it",
            "they read the first {few} lines of a message and the last one",
        ),
    ),
    Theme(
        ("question", "interview", "ask"),
        ("question", "idea", "customer"),
        (
            "the best question asks about the last time and never about the next time",
            "what people paid for last year is a fact, what they would pay is a guess",
            "asking who else was involved shows how the decision is really made",
            "silence of {few} seconds after an answer brings out the useful half",
            "a question that can be answered with yes should be thrown away",
            "the words customers use belong on the page unchanged",
            "after {few} talks the answers repeat, and that is the time to stop",
            "the last question is whom to talk to next",
        ),
    ),
    Theme(
        ("domain", "name", "brand", "web"),
        ("domain", "available", "name"),
        (
            "a plain name that can be spelt over the phone is worth more than a clever one",
            "a country ending is good enough while customers are close by",
            "the name should survive a change of product",
            "registering {few} spellings costs less than one confused customer",
            "a short search of trade registers avoids a letter from a lawyer",
            "an address for mail on the same domain lifts the reply rate at once",
            "availability today says nothing about tomorrow, so registering comes first",
            "the page behind the name needs one sentence, one proof and one button",
        ),
    ),
    Theme(
        ("roadmap", "timeline", "plan", "next step", "day", "week", "milestone", "action"),
        ("time", "goal", "idea", "commitment"),
        (
            "the first {period} belong to conversations and a page, not to building",
            "a working version for one customer marks the first milestone",
            "the middle of the plan is reserved for repairs that nobody can foresee",
            "a fixed review day every {period} keeps the plan honest",
            "automation starts once a task has been done {few} times by hand",
            "the second milestone is a customer found by another customer",
            "whatever has not helped a sale by then can be dropped without regret",
            "the last stretch turns notes into a routine that takes {few} hours a week",
        ),
    ),
    Theme(
        ("summar", "overview", "synthes", "introduc", "highlight"),
        ("company", "goal", "interest", "industry"),
        (
            "the picture is coherent, with limits that are tight but point in one direction",
            "{few} findings carry the rest, and none of them depends on luck",
            "the main decision is smaller than it looks and can be undone within {period}",
            "what is known is enough to act and what is unknown is cheap to find out",
            "the parts reinforce each other as long as their order is kept",
            "one number deserves attention above all others, and it can be had by Friday",
            "the tempting short cut would cost more than the way round",
            "progress will show first in conversations and only later in figures",
        ),
    ),
    Theme(
        ("objective", "key result", "okr", "goal", "score"),
        ("objective", "team", "goal", "quarter"),
        (
            "a good objective can be remembered without looking it up",
            "each key result needs a starting value, a target and somebody who owns it",
            "{few} key results are enough; the fourth is usually a task in disguise",
            "a result describes a change for customers, a task describes a busy week",
            "a target reached by {share} of teams is a forecast and not an ambition",
            "what cannot be measured every {period} cannot be steered",
            "activity counts belong on the team's board and outcomes belong here",
            "the baseline should be agreed before anybody argues about the target",
        ),
    ),
    Theme(
        ("poem", "fortune", "meaning", "interpret", "deity", "temple", "verse", "career", "love"),
        ("poem", "deity", "question", "title", "fortune"),
        (
            "the verse speaks of a road that opens after a bend and not before it",
            "patience is praised here as a form of work",
            "the image of water promises movement to those who do not force it",
            "good fortune is announced, though it is tied to honest dealing",
            "what seems lost returns in another shape within {period}",
            "help comes from an older person or from an old promise",
            "the poem warns of haste and of {few} voices that all advise at once",
            "a quiet season is better used for preparing than for deciding",
        ),
    ),
    Theme(
        ("force", "porter", "swot", "pestel", "industr", "framework", "strateg"),
        ("company", "industry", "market", "competitor"),
        (
            "bargaining power sits with the few buyers who order in volume",
            "substitutes improve faster than the established offer",
            "entry barriers rest on relationships and certificates more than on capital",
            "suppliers can be exchanged, at the price of {period} of lower quality",
            "scale helps in purchasing and hurts in speed",
            "political decisions reach the industry with a delay of {period}",
            "the company's reputation is its most liquid asset",
            "about {share} of revenue depends on contracts that can be ended within a year",
        ),
    ),
    Theme(
        ("journey", "stage", "awareness", "consideration", "pain", "need", "jtbd", "messag", "kpi"),
        ("persona", "channel", "pain", "need", "demographic"),
        (
            "the first contact happens by accident and is forgotten {few} times",
            "doubt is greatest just before the purchase and again the morning after",
            "the unspoken job is to look competent in front of colleagues",
            "friction comes from forms, waiting and being passed on",
            "a message works when it names the annoyance before the remedy",
            "the channel matters less than the moment at which it is met",
            "loyalty starts with the first problem that is solved without argument",
            "one figure a stage is enough, be it reach, interest, decision or return",
        ),
    ),
)

GENERAL: tuple[str, ...] = (
    "work on {topic} pays off only if somebody looks at it every {period}",
    "one page of notes on {topic} beats a long plan",
    "{few} conversations about {topic} tell more than a survey does",
    "most of what matters about {topic} can be seen within {period}",
    "a first answer on {topic} is cheap, and a second one is usually better",
    "the hard part of {topic} is deciding what to leave out",
    "when it comes to {topic}, steady effort beats a brilliant weekend",
    "about {share} of the effort on {topic} goes into details that nobody asks for",
    "a decision on {topic} should name the one fact that would overturn it",
    "those who handle {topic} well write down what they expected beforehand",
    "a change in {topic} shows up elsewhere after {period}",
    "it is worth having one person look at {topic} with fresh eyes",
    "any plan for {topic} has to survive {few} ordinary weeks",
    "the notes on {topic} should fit what was said and not what was hoped",
    "a small test of {topic} can start before everything else is settled",
    "the figures behind {topic} are rough, yet they all lean the same way",
    "in {topic} the simple version wins until it demonstrably fails",
    "talk of {topic} gets useful once it has a date and a name attached",
    "what is true of {topic} today should be read again after {period}",
    "{topic} and daily routine have to fit together, or the routine wins",
    "the cheapest improvement to {topic} is to measure it the same way twice",
    "nothing in {topic} requires more than {few} people to agree",
    "the order of steps in {topic} matters more than their speed",
    "a weak spot in {topic} is easier to live with once it is written down",
    "the lesson from similar cases is to begin {topic} smaller than feels right",
)

FACT_FRAMES: tuple[str, ...] = (
    "Given {value} ({label}), {clause}.",
    "With {value} noted under {label}, {clause}.",
    "{Clause}; {value} ({label}) points the same way.",
    "Under {label} stands {value}, and {clause}.",
    "Read next to {value} ({label}), the conclusion is plain: {clause}.",
    "{Clause}, which fits {value} under {label}.",
    "With {label} summed up as {value}, {clause}.",
    "{Value} is what stands under {label}, so {clause}.",
    "The entry for {label}, {value}, matters here: {clause}.",
    "{Clause}, all the more with {value} under {label}.",
    "Starting from {value} ({label}), {clause}.",
    "If {value} ({label}) is taken seriously, {clause}.",
)

PLAIN_FRAMES: tuple[str, ...] = (
    "{Clause}.",
    "{Clause}.",
    "One thing is certain: {clause}.",
    "In practice, {clause}.",
    "Put plainly, {clause}.",
    "What counts in the end is that {clause}.",
    "Early on, {clause}.",
    "It also helps to know that {clause}.",
    "Experience elsewhere suggests that {clause}.",
    "From this it follows that {clause}.",
    "Over the first {period}, expect that {clause}.",
    "The evidence so far says that {clause}.",
    "On closer inspection, {clause}.",
    "A sober reading is that {clause}.",
    "This matters because {clause}.",
)

ASPECTS: tuple[str, ...] = (
    "Keep in mind",
    "Worth knowing",
    "Rule of thumb",
    "Often missed",
    "Why it matters",
    "What to watch",
    "In short",
    "Main point",
    "Practical note",
    "Lesson",
    "Observation",
    "Seen often",
)

PERIODS: tuple[str, ...] = (
    "two weeks",
    "three weeks",
    "six weeks",
    "two months",
    "ten days",
    "four weeks",
    "three months",
    "eight weeks",
)
"""Read after "every", "within" and "the first" alike."""

FEW: tuple[str, ...] = ("three", "four", "five", "six", "seven", "eight", "ten", "twelve")

SHARES: tuple[str, ...] = ("10 %", "15 %", "20 %", "25 %", "30 %", "35 %", "40 %", "60 %")

OFFERS: tuple[str, ...] = (
    "Answers the questions that customers ask most and passes on the rest with a summary",
    "Sets up a working start in an afternoon and keeps it in order month by month",
    "Finds the repeated steps in a week of work and takes over the dullest of them",
    "Checks each order, message or booking against simple rules and flags the odd ones",
    "Turns scattered notes into one clear page that a whole team can work from",
    "Collects what customers say in one place and suggests the next reply",
    "Watches dates, renewals and deadlines and reminds the right person in time",
    "Prepares quotes and follow-ups so that no enquiry is left without an answer",
    "Gives a small team a weekly report that says what changed and why",
    "Brings together people who need an hour of help and somebody who has done it before",
    "Replaces three spreadsheets and a reminder with one list that keeps itself up to date",
    "Shows newcomers the first ten steps and looks over their work after each of them",
)
"""What a product does, for fields that ask for it."""
