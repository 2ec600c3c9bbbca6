"""What judges, and the forms in which texts are put to them, are called in reports and cards."""

BUNDLE, KEYWORDS, TFIDF, EMBEDDING = "bundle", "keyword list", "TF-IDF", "frozen embedding"
AUTHORED, REAL = "TF-IDF, authored texts only", "TF-IDF, real texts only"

AS_IT_IS, LINKS_MASKED, DIGITS_MASKED = "as it is", "links masked", "digits masked"
UNSEEN_DOMAINS = "links to unseen domains"
