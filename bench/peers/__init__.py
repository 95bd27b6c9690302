"""What the gateway is compared with: how each peer is installed, set and started.

Peers that do not come with the system are installed into a folder that git does not know, each into
an environment of its own, in the releases that the files beside this one name.
"""
