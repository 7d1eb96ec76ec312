"""The files behind outputs and assets: pictures, sounds and videos, made when somebody fetches them."""
