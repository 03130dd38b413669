"""The sample company: Alameda, a made-up wholesaler of stationery and gifts in Spain, France and the UK.

`company.py` draws its files, the same for the same day; `mapping.yaml` is how `./bailiwick import`
reads them, and an example of how yours may be read.
"""
