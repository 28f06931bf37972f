"""``reelbench doctor``: does every engine compute here what it should, and is this machine fit to be measured on?"""
