"""Reads a list of {name, body} from a file and says what is wrong with each card for Teams: versions of elements, size.

Answers a JSON list of complaints on standard output.
"""

import json
import sys

from adaptive_cards.card import AdaptiveCard
from adaptive_cards.validation import CardValidatorFactory
from pydantic import ValidationError


def plain(node):
    """The checker knows the long form of a toggle's targets only."""
    if isinstance(node, list):
        return [plain(one) for one in node]
    if isinstance(node, dict):
        node = {key: plain(value) for key, value in node.items()}
        if "targetElements" in node:
            targets = node["targetElements"]
            node["targetElements"] = [{"elementId": one} if isinstance(one, str) else one for one in targets]
    return node


complaints = []
for entry in json.load(open(sys.argv[1], encoding="utf-8")):
    card = dict(entry["body"]["attachments"][0]["content"])
    card.pop("msteams", None)
    validator = CardValidatorFactory.create_validator_microsoft_teams()
    try:
        validator.validate(AdaptiveCard.model_validate(plain(card)), debug=False)
    except ValidationError as error:
        complaints.append(f"{entry['name']}: adaptive-cards-py: {error}")
        continue
    for finding in validator.details():
        complaints.append(f"{entry['name']}: adaptive-cards-py: {finding}")
print(json.dumps(complaints))
