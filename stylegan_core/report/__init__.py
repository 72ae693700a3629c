"""Reports: the review page with its pictures and charts, and the published results.

Everything here renders data that other packages measured.
"""
