"""Reads an incident by an independent client of ServiceNow's Table API. Answers what it finds as JSON on standard output."""

import json
import sys

import pysnow

host, user, password, correlation = sys.argv[1:5]
client = pysnow.Client(host=host, user=user, password=password, use_ssl=False)
table = client.resource(api_path="/table/incident")
found = table.get(query={"correlation_id": correlation}, stream=False).all()
print(json.dumps(found))
